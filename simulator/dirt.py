"""Rows that no shop should log, and every shop does: planted at a chosen rate, and counted.

A dirty row is an extra row: a copy of a clean one with exactly one thing wrong, so that what a
pipeline catches can be compared with what was planted, and the truth of the clean rows stays whole.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.events import EventType
from simulator.randomness import Ints, Stream
from simulator.rows import LOOSE_EVENTS, numbered_ids
from simulator.world import Today

FUTURE: Final = timedelta(days=400)
UNKNOWN_ITEM_BASE: Final = 900_000
GARBAGE: Final = "\x00\x01\ufffd\ufffd<%!--' OR 1=1;\x07\x1b[31m" + "\u202e\u00c3\u00a9" * 200


class Dirt(StrEnum):
    """The kinds of dirt, and what is wrong with each row."""

    DUPLICATE = "duplicate"
    """The same row once more, event_id and all."""
    NEGATIVE_PRICE = "negative_price"
    """A purchase whose unit_price_cents is below 0."""
    FUTURE_TIMESTAMP = "future_timestamp"
    """An event_timestamp 400 days after the day it is delivered on."""
    UNKNOWN_ITEM = "unknown_item"
    """An item_id that no snapshot will ever have."""
    NULL_USER = "null_user"
    """No user_id."""
    GARBAGE_TEXT = "garbage_text"
    """A search whose query_text holds NUL and other control characters."""


_ONLY_OF: Final = {
    Dirt.NEGATIVE_PRICE: (EventType.PURCHASE,),
    Dirt.UNKNOWN_ITEM: (EventType.CLICK, EventType.VIEW, EventType.IMPRESSION),
    Dirt.GARBAGE_TEXT: (EventType.SEARCH,),
}


def plant(today: Today, clean: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Add the day's dirt to its clean events.

    Returns:
        The clean events followed by the dirty ones, and how many of each kind (0 included).
    """
    rng = today.generator(Stream.DIRT)
    wanted = rng.poisson(today.world.config.dirt_rate * len(clean) / len(Dirt), size=len(Dirt))
    parts, planted, number = [clean], {}, len(clean)
    for kind, count in zip(Dirt, wanted.tolist(), strict=True):
        rows = _rows_to_copy(clean, kind, rng, count=count)
        dirty = _spoil(today, clean.take(pa.array(rows)), kind, first_number=number)
        planted[kind.value] = len(dirty)
        number += len(dirty)
        parts.append(dirty)
    return pa.concat_tables(parts).combine_chunks(), planted


def _rows_to_copy(clean: pa.Table, kind: Dirt, rng: np.random.Generator, *, count: int) -> Ints:
    """Different clean rows on which ``kind`` can be planted; fewer if the day has fewer."""
    rows = np.arange(len(clean))
    if kind in _ONLY_OF:
        wanted = pa.array([event_type.value for event_type in _ONLY_OF[kind]])
        rows = np.flatnonzero(pc.is_in(clean["event_type"], wanted).to_numpy())
    return np.sort(rng.choice(rows, size=min(count, len(rows)), replace=False))


def _spoil(today: Today, rows: pa.Table, kind: Dirt, *, first_number: int) -> pa.Table:
    if kind is Dirt.DUPLICATE:
        return rows
    numbers = np.arange(first_number, first_number + len(rows))
    rows = _with(rows, "event_id", pa.array(numbered_ids("e", today.day, numbers), pa.string()))
    match kind:
        case Dirt.NEGATIVE_PRICE:
            return _with(rows, "unit_price_cents", pc.negate(rows["unit_price_cents"]))
        case Dirt.FUTURE_TIMESTAMP:
            return _with(rows, "event_timestamp", pc.add(rows["event_timestamp"], FUTURE))
        case Dirt.UNKNOWN_ITEM:
            unknown = [f"i{UNKNOWN_ITEM_BASE + number % 90_000:06d}" for number in numbers]
            return _with(rows, "item_id", pa.array(unknown, pa.string()))
        case Dirt.NULL_USER:
            return _with(rows, "user_id", pa.nulls(len(rows), pa.string()))
        case _:
            return _with(rows, "query_text", pa.array([GARBAGE] * len(rows), pa.string()))


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = LOOSE_EVENTS.get_field_index(name)
    return rows.set_column(place, LOOSE_EVENTS.field(name), values)
