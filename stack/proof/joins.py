"""The ways to ask for the past that must give what the raw events say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from domain.settings import Settings
from stack.proof.brute_force import SECOND

SERVICE: Final = "ranking"
"""It asks for every view; ``retrieval`` is a part of it."""


@dataclass(frozen=True)
class Join:
    """One way.

    ``early_us``: how much before a day's end it knows the day. ``unit_us``: what its timestamps
    are rounded down to. ``ask``: questions → features named ``<view>__<feature>``, in their order.
    """

    name: str
    early_us: int
    unit_us: int
    ask: Callable[[Settings, pa.Table], pa.Table]


def _by_training(settings: Settings, asked: pa.Table) -> pa.Table:
    # Feast takes seconds to import: only where it is needed.
    from features.history import point_in_time

    return point_in_time(settings, asked, service=SERVICE)


def _by_feast(settings: Settings, asked: pa.Table) -> pa.Table:
    from features.quiet import quiet
    from features.store import open_store

    store = open_store(settings)
    frame = asked.select(["user_id", "item_id", "event_timestamp"]).to_pandas()
    frame["item_price_cents"] = asked["item_price_cents"].to_pandas().astype("float64")
    frame["request_timestamp"] = frame["event_timestamp"]
    frame["row"] = np.arange(len(frame))
    with quiet():
        joined = store.get_historical_features(
            entity_df=frame,
            features=store.get_feature_service(SERVICE),
            full_feature_names=True,
        ).to_arrow()
    return joined.sort_by("row")


JOINS: Final = (
    # What models learn from: asks as of a day's first moment, and keeps whole seconds as online.
    Join("training's join", early_us=0, unit_us=SECOND, ask=_by_training),
    # Feast's SDK as anybody uses it. A row stands at the last microsecond of its day, and Feast
    # takes a row of the very moment asked about: in that one microsecond it knows the day.
    Join("Feast's join", early_us=1, unit_us=1, ask=_by_feast),
)
