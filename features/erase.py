"""Take entities out of the online store."""

from collections.abc import Sequence

from domain.settings import Settings
from features.packed_store import table_of
from features.reading import event_microseconds, keys_of, online_store
from features.store import VIEWS, open_store, writing


def erase(settings: Settings, entity: str, ids: Sequence[str]) -> dict[str, int]:
    """Remove these entities from every view that is about them.

    Only what is served now: the marts still hold their rows, and a mart that is published anew
    brings them back.

    Args:
        settings: Whose online store.
        entity: ``user_id`` or ``item_id``.
        ids: Unknown ones are fine.

    Returns:
        View → how many of them it held.
    """
    erased = {}
    with writing(settings):
        store = open_store(settings)
        views = [store.get_feature_view(name) for name in VIEWS]
        for view in (each for each in views if each.join_keys == [entity]):
            erased[view.name] = sum(map(bool, event_microseconds(store, view, ids)))
            keys = keys_of(view, ids)
            online_store(store).drop(store.config, table_of(store.config, view), keys)
    return erased
