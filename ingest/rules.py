"""Why a row is set aside: one rule, one function, one name in the quarantine's ``reason``.

Only what cannot be an event, a user or an item is refused here. A real shop's own dirt
(cancellations, zero prices, lines without a customer) lands as it is; dbt's named rules judge it.
The first rule of ``RULES`` that a row breaks is its reason.

A rule sees the raw value as ``raw(name)`` and the typed one as ``pl.col(name)``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final

import polars as pl
import pyarrow as pa

from domain.events import EventType
from ingest.composed import is_decomposed, is_id
from ingest.personal import holds

LONGEST_TEXT: Final = 10_000
"""Characters. The longest real description is a few hundred; a query is a few dozen."""

CLOCK_SKEW: Final = timedelta(hours=1)
OLDEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
RAW: Final = "raw:"
FREE_TEXT: Final = {
    "events": ("query_text",),
    "items": ("title", "description"),
    "transactions": ("description",),
}
"""What people type. Ids are not searched: whatever a shop's ids are made of, they must stay."""

TIME_COLUMN: Final = {"events": "event_timestamp", "transactions": "invoiced_at"}
ID_COLUMN: Final = {
    "events": "event_id",
    "transactions": "line_id",
    "users": "user_id",
    "items": "item_id",
}


@dataclass(frozen=True)
class Table:
    """What a rule may know: which table it is and what the time is.

    Attributes:
        name: ``events``, ``transactions``, ``users`` or ``items``.
        schema: The landed schema.
        raw_types: The type each column came in.
        now: The wall clock; nothing can have happened after it.
    """

    name: str
    schema: pa.Schema
    raw_types: dict[str, pl.DataType]
    now: datetime

    def columns(self, *kinds: pa.DataType) -> list[str]:
        """The columns of these types."""
        return [field.name for field in self.schema if field.type in kinds]

    @property
    def texts(self) -> list[str]:
        """The columns that came as text."""
        return [name for name in self.schema.names if self.raw_types[name] == pl.String]


Rule = Callable[[Table], pl.Expr]


def raw(name: str) -> pl.Expr:
    """The value as the source wrote it."""
    return pl.col(RAW + name)


def _any(conditions: Sequence[pl.Expr]) -> pl.Expr:
    return reduce(or_, [c.fill_null(False) for c in conditions], pl.lit(False))


def _lost(table: Table, *kinds: pa.DataType) -> pl.Expr:
    """Something was written, and nothing could be typed."""
    written = {
        name: raw(name).str.strip_chars() != "" if name in table.texts else raw(name).is_not_null()
        for name in table.columns(*kinds)
    }
    return _any([pl.col(name).is_null() & there for name, there in written.items()])


def unreadable_record(table: Table) -> pl.Expr:
    """The record could not be split into columns: wrong number of fields, no JSON object."""
    return pl.col("_text").is_not_null()


def nul_byte(table: Table) -> pl.Expr:
    """A text holds a NUL: databases and C libraries downstream would cut it there."""
    return _any([raw(name).str.contains("\x00", literal=True) for name in table.texts])


def text_too_long(table: Table) -> pl.Expr:
    """A text is longer than ``LONGEST_TEXT`` characters."""
    return _any([raw(name).str.len_chars() > LONGEST_TEXT for name in table.texts])


def unparsable_number(table: Table) -> pl.Expr:
    """A number is no number, not finite, not whole where it must be, or too large for its type."""
    return _lost(table, pa.int32(), pa.int64(), pa.float64())


def unparsable_timestamp(table: Table) -> pl.Expr:
    """A moment or a day is none."""
    return _lost(table, pa.timestamp("us", tz="UTC"), pa.date32())


def missing_value(table: Table) -> pl.Expr:
    """A required value is missing or blank. Ids of events are made from the row if missing."""
    made = {"event_id", "line_id"}
    required = [f.name for f in table.schema if not f.nullable and f.name not in made]
    return _any([pl.col(name).is_null() for name in required])


def future_timestamp(table: Table) -> pl.Expr:
    """It happened after now, or after the day on which the source handed it over."""
    if table.name not in TIME_COLUMN:
        return pl.lit(False)
    moment = pl.col(TIME_COLUMN[table.name])
    return (moment > table.now + CLOCK_SKEW) | (moment.dt.date() > pl.col("_arrived")).fill_null(
        False
    )


def implausible_past(table: Table) -> pl.Expr:
    """It happened before 1990: an unset clock (1970), a spreadsheet's day zero (1899)."""
    if table.name not in TIME_COLUMN:
        return pl.lit(False)
    return pl.col(TIME_COLUMN[table.name]) < pl.lit(OLDEST)


def unknown_event_type(table: Table) -> pl.Expr:
    """The event type is none of the seven of ``domain.events``."""
    if table.name != "events":
        return pl.lit(False)
    return ~pl.col("event_type").is_in([kind.value for kind in EventType])


def missing_item(table: Table) -> pl.Expr:
    """An event that is not a search says nothing about any item."""
    if table.name != "events":
        return pl.lit(False)
    return pl.col("item_id").is_null() & (pl.col("event_type") != EventType.SEARCH.value)


def negative_quantity(table: Table) -> pl.Expr:
    """Fewer than no pieces; in our events a return is an event type, not a sign."""
    return pl.col("quantity") < 0 if table.name == "events" else pl.lit(False)


def negative_price(table: Table) -> pl.Expr:
    """Somebody would be paid for taking it."""
    column = {"events": "unit_price_cents", "items": "price_cents"}.get(table.name)
    return pl.col(column) < 0 if column else pl.lit(False)


def position_below_one(table: Table) -> pl.Expr:
    """Positions count from 1."""
    return pl.col("position") < 1 if table.name == "events" else pl.lit(False)


def propensity_out_of_range(table: Table) -> pl.Expr:
    """A probability of having shown the item lies in (0, 1]; others break every estimate."""
    if table.name != "events":
        return pl.lit(False)
    return (pl.col("propensity") <= 0) | (pl.col("propensity") > 1)


def decomposed_id(table: Table) -> pl.Expr:
    """An id is not in Unicode's composed form (NFC): it looks like another one and is not."""
    ids = [name for name in table.columns(pa.string()) if is_id(name)]
    return _any([pl.col(n).map_batches(is_decomposed, return_dtype=pl.Boolean) for n in ids])


def personal_data(table: Table) -> pl.Expr:
    """A free text holds an e-mail address or a card number; it is masked in the quarantine too."""
    texts = FREE_TEXT.get(table.name, ())
    return _any([pl.col(n).map_batches(holds, return_dtype=pl.Boolean) for n in texts])


RULES: Final[tuple[Rule, ...]] = (
    unreadable_record,
    nul_byte,
    text_too_long,
    unparsable_timestamp,
    unparsable_number,
    missing_value,
    future_timestamp,
    implausible_past,
    unknown_event_type,
    missing_item,
    negative_quantity,
    negative_price,
    position_below_one,
    propensity_out_of_range,
    decomposed_id,
    personal_data,
)
NAMES: Final = tuple(rule.__name__ for rule in RULES)


def reason(table: Table) -> pl.Expr:
    """The name of the first rule that a row breaks; null for a fit row."""
    broken = [
        pl.when(rule(table).fill_null(False)).then(pl.lit(name))
        for rule, name in zip(RULES, NAMES, strict=True)
    ]
    return pl.coalesce(broken).alias("reason")
