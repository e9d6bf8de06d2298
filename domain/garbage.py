"""What a server's collector of garbage need not look at."""

import atexit
import gc


def settle() -> None:
    """Take everything that is alive now out of the collector's sight; call it once, before serving.

    A server has hundreds of thousands of objects from its imports alone, none of which will ever be
    garbage. Looking through them takes longer than any answer, and falls into one of a hundred.
    """
    gc.collect()
    gc.freeze()
    # At the end it must be freed like anything else, or libraries complain of leaks.
    atexit.register(gc.unfreeze)
