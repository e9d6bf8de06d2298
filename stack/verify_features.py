"""Are the features what the raw events say, and is what is served what was learned from?

Two hops: Feast's point-in-time join against a brute force over the raw events; then every value of
the online store against that join. Equal to equal: what is served is what the raw events say.
"""

from collections.abc import Callable

from domain.settings import Settings
from stack.hops import Hop
from stack.proof.offline import offline_equals_raw_events
from stack.proof.online import online_equals_offline


def verify_features(
    settings: Settings, *, rows: int, seed: int, progress: Callable[..., None]
) -> list[Hop]:
    """Both hops; ``rows`` random questions of the first, every user and item in the second.

    Raises:
        StaleFeaturesError: If nothing is built, or days wait for their build.
    """
    return [
        offline_equals_raw_events(settings, rows=rows, seed=seed, progress=progress),
        online_equals_offline(settings, progress=progress),
    ]
