"""Which (user, item, moment) rows are asked about: at random, and where mistakes hide."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from domain.schemas import TIMESTAMP
from stack.proof.brute_force import DAY, SECOND

Ints = npt.NDArray[np.int64]

SHARES: Final[Mapping[str, float]] = {
    "event": 0.15,  # the moment of an event of theirs, and a microsecond either side
    "midnight": 0.10,  # the first moment of a day, and a microsecond either side
    "last second": 0.10,  # of a day on which they did something
    "first second": 0.10,  # around the events nearest after a midnight: they must not be seen yet
    "window edge": 0.15,  # the midnights on which an event of theirs leaves a window or the ttl
    "before": 0.05,  # before anything happened
    "after": 0.05,  # up to 400 days after everything
    "now": 0.05,  # the moments a service would ask at today
    "stranger": 0.05,  # users and items that nobody knows
}
"""Share of the rows of each kind; what is left is any user, any item, any microsecond."""

EDGES: Final = (1, 7, 8, 30, 31, 90, 91, 92, 181, 182, 183)
"""Days after an event on which its row, a window or the ttl begins or ends."""

_UNKNOWN_PRICE_SHARE: Final = 0.05


def ask(events: pl.DataFrame, *, rows: int, seed: int, newest: date) -> pa.Table:
    """``rows`` questions: ``user_id, item_id, event_timestamp, item_price_cents, kind``.

    Args:
        events: Accepted events; those with an item are the anchors.
        rows: How many.
        seed: The same seed asks the same of the same events.
        newest: The last built day.
    """
    rng = np.random.default_rng(seed)
    # Sorted, so that the same seed finds the same events at the same places.
    anchors = events.filter(pl.col("item_id").is_not_null()).sort("event_timestamp", "event_id")
    moments = anchors["event_timestamp"].dt.epoch("us").to_numpy()
    users, items = anchors["user_id"].to_numpy(), anchors["item_id"].to_numpy()
    kinds = _kinds(rows)
    place = rng.integers(0, len(anchors), rows)
    place[kinds == "first second"] = _nearest_after_midnight(
        moments, int(np.sum(kinds == "first second"))
    )
    asked = _moments(kinds, moments[place], moments=moments, newest=newest, rng=rng)
    is_random = np.isin(kinds, ["", "midnight", "before", "after", "now"])
    user_ids, item_ids = users[place], items[place]
    item_ids[is_random] = rng.permutation(item_ids[is_random])
    is_stranger = kinds == "stranger"
    user_ids[is_stranger] = [f"nobody-{n}" for n in range(is_stranger.sum())]
    item_ids[is_stranger] = [f"nothing-{n}" for n in range(is_stranger.sum())]
    has_no_price = rng.random(rows) < _UNKNOWN_PRICE_SHARE
    return pa.table(
        {
            "user_id": pa.array(user_ids, pa.string()),
            "item_id": pa.array(item_ids, pa.string()),
            "event_timestamp": pa.array(asked, pa.int64()).cast(TIMESTAMP),
            "item_price_cents": pa.array(rng.integers(0, 20_000, rows), mask=has_no_price),
            "kind": pa.array(np.where(kinds == "", "random", kinds), pa.string()),
        }
    )


def _kinds(rows: int) -> npt.NDArray[np.str_]:
    named = [kind for kind, share in SHARES.items() for _ in range(int(rows * share))]
    return np.array([*named, *[""] * (rows - len(named))], dtype="<U16")


def _nearest_after_midnight(moments: Ints, count: int) -> Ints:
    """The places of the events that happened soonest after a midnight, again if they are few."""
    nearest = np.argsort(moments % DAY, kind="stable")[: max(1, count // 3)]
    return np.resize(nearest, count)


def _moments(
    kinds: npt.NDArray[np.str_],
    anchor: Ints,
    *,
    moments: Ints,
    newest: date,
    rng: np.random.Generator,
) -> Ints:
    """A moment of each kind; ``anchor``: the moment of the event each row began with."""
    count = len(kinds)
    first, end = moments.min(), (newest.toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY
    day = anchor // DAY * DAY
    beside = rng.integers(-1, 2, count)
    choices = {
        "event": anchor + beside,
        "midnight": rng.integers(first // DAY, end // DAY + 1, count) * DAY + beside,
        "last second": day + DAY - 1 - rng.integers(0, SECOND, count),
        "first second": np.where(rng.random(count) < 0.5, anchor + beside, day + beside),
        "window edge": day + rng.choice(EDGES, count) * DAY + beside,
        "before": first - rng.integers(1, 100 * DAY, count),
        "after": end + rng.integers(0, 400 * DAY, count),
        "now": end + rng.integers(0, DAY, count),
        "stranger": rng.integers(first, end, count),
    }
    asked = rng.integers(first - DAY, end + DAY, count)
    for kind, chosen in choices.items():
        asked = np.where(kinds == kind, chosen, asked)
    return asked
