import gc
import weakref

from domain.garbage import settle


class Loop:
    """Refers to itself: only the collector can free it."""

    def __init__(self):
        self.itself = self


def test_what_is_alive_is_not_looked_at_again_and_later_garbage_still_is():
    try:
        settle()
        frozen = gc.get_freeze_count()
        assert frozen > 1_000
        later = weakref.ref(Loop())
        gc.collect()
        assert later() is None
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()
