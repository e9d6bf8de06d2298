"""The day's events as rows of numbers, until they are written as LANDED_EVENTS."""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.events import EventType, Surface
from domain.schemas import LANDED_EVENTS, TIMESTAMP
from simulator.randomness import Bools, Ints, Strings

Rows = npt.NDArray[np.void]
"""A structured array of one of the types below. -1 means none; users and items are rows."""

TYPES: Final = tuple(EventType)
SURFACES: Final = tuple(Surface)
SECOND: Final = 1_000_000

SESSION: Final = np.dtype([("user", "i8"), ("time_us", "i8")])
REQUEST: Final = np.dtype(
    [
        ("session", "i8"),
        ("user", "i8"),
        ("time_us", "i8"),
        ("surface", "i8"),
        ("anchor", "i8"),  # the item whose page or cart it is
        ("query", "i8"),
    ]
)
EVENT: Final = np.dtype(
    [
        ("type", "i8"),
        ("time_us", "i8"),
        ("user", "i8"),
        ("item", "i8"),
        ("session", "i8"),
        ("request", "i8"),
        ("surface", "i8"),
        ("position", "i8"),
        ("query", "i8"),
        ("quantity", "i8"),
        ("price_cents", "i8"),
        ("propensity", "f8"),
        ("is_trip", "?"),  # the user came for this item: not written
    ]
)


def type_code(event_type: EventType) -> int:
    """The number that stands for an event type in a row."""
    return TYPES.index(event_type)


def surface_code(surface: Surface) -> int:
    """The number that stands for a surface in a row."""
    return SURFACES.index(surface)


def blank(dtype: np.dtype[np.void], count: int) -> Rows:
    """``count`` rows that say nothing: -1 everywhere, NaN propensity, False."""
    rows = np.full(count, -1, dtype=np.int64).astype(dtype)
    for name in dtype.names or ():
        if dtype[name].kind == "f":
            rows[name] = np.nan
        if dtype[name].kind == "b":
            rows[name] = False
    return rows


def of_type(rows: Rows, event_type: EventType) -> Rows:
    """The rows of one event type."""
    return np.asarray(rows[rows["type"] == type_code(event_type)])


def in_order(rows: Rows) -> Rows:
    """Events by time; what happened at the same moment stays in the order it was made."""
    return np.asarray(rows[np.argsort(rows["time_us"], kind="stable")])


def to_table(
    rows: Rows, *, day: date, user_ids: Strings, item_ids: Strings, query_texts: Strings
) -> pa.Table:
    """Events in LANDED_EVENTS' columns, without its nullability, with ids made of day and number.

    Args:
        rows: EVENT rows in the order in which they get their numbers.
        day: The day the rows are written for.
        user_ids: By user row.
        item_ids: By item row.
        query_texts: By query row.
    """
    columns = {
        "event_id": _numbered("e", day, np.arange(len(rows))),
        "event_type": _looked_up(np.array(TYPES, dtype=object), rows["type"]),
        "event_timestamp": pa.array(rows["time_us"]).cast(TIMESTAMP),
        "user_id": _looked_up(user_ids, rows["user"]),
        "item_id": _looked_up(item_ids, rows["item"]),
        "session_id": _numbered("s", day, rows["session"]),
        "request_id": _numbered("r", day, rows["request"]),
        "surface": _looked_up(np.array(SURFACES, dtype=object), rows["surface"]),
        "position": _unless_none(rows["position"]),
        "query_text": _looked_up(query_texts, rows["query"]),
        "quantity": _unless_none(rows["quantity"]),
        "unit_price_cents": _unless_none(rows["price_cents"]),
        "propensity": pa.array(rows["propensity"], mask=np.isnan(rows["propensity"])),
    }
    return pa.table(
        [columns[field.name].cast(field.type) for field in LANDED_EVENTS], schema=LOOSE_EVENTS
    )


LOOSE_EVENTS: Final = pa.schema([field.with_nullable(True) for field in LANDED_EVENTS])
"""LANDED_EVENTS before anybody checked it: dirt may be null where a landed row may not."""


def numbered_ids(prefix: str, day: date, numbers: Ints) -> Strings:
    """Ids made of a prefix, the day and a number: ``e-20260301-000007``."""
    head = f"{prefix}-{day:%Y%m%d}-"
    return np.array([f"{head}{number:06d}" for number in numbers.tolist()], dtype=object)


def _numbered(prefix: str, day: date, numbers: Ints) -> pa.Array:
    return pa.array(numbered_ids(prefix, day, numbers), pa.string(), mask=_is_none(numbers))


def _looked_up(words: Strings, codes: Ints) -> pa.Array:
    codes_or_null = pa.array(codes, mask=_is_none(codes))
    return pc.take(pa.array([str(word) for word in words], pa.string()), codes_or_null)


def _unless_none(numbers: Ints) -> pa.Array:
    return pa.array(numbers, mask=_is_none(numbers))


def _is_none(numbers: Ints) -> Bools:
    return np.asarray(numbers < 0)
