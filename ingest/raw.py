"""Rows as a source handed them over, before anyone has judged them.

A frame of raw rows has the columns of the landed table (text or already typed; missing ones are
filled with nulls) and three of our own:

- ``_line``: the record's number in its file (a header is number 1), null where there is no file;
- ``_text``: for a record that could not be split into columns, its text; null for all others;
- ``_arrived``: the UTC day on which the source handed the row over, null where nobody knows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

import polars as pl
import pyarrow as pa

from domain.events import Source

OWN: Final = {"_line": pl.Int64(), "_text": pl.String(), "_arrived": pl.Date()}


@dataclass(frozen=True)
class Raw:
    """The raw rows of one table.

    Attributes:
        notes: Sentences for the receipt (a file left aside …).
        is_stated: Whether the source says anything of the table; that it has no row is something.
        known_days: Days that are odd and right, and why (``domain.accepted_days``).
        delivered: Days that the source handed over by name, also where they have no rows.
    """

    table: str
    rows: pl.DataFrame
    notes: tuple[str, ...] = ()
    is_stated: bool = True
    delivered: frozenset[date] = frozenset()
    known_days: Mapping[date, str] = field(default_factory=dict)


class Connector(Protocol):
    """One source of rows. Reads only; knows nothing of the lake."""

    source: Source

    def read(self, *, day: date | None, until: date | None) -> Iterator[Raw]:
        """Everything the source has, events (or transactions) first.

        Args:
            day: The one day that is asked for; a source of snapshots gives that day's snapshot.
                None for a history.
            until: First day that is not asked for; None for no end. A hint: rows beyond it may
                come and are left aside by the caller.
        """
        ...


def with_own_columns(rows: pl.DataFrame, schema: pa.Schema) -> pl.DataFrame:
    """``rows`` with exactly the schema's columns and ours; what is missing is null."""
    missing = [
        pl.lit(None, dtype=pl.String).alias(name) for name in schema.names if name not in rows
    ]
    own = [pl.lit(None, dtype=kind).alias(name) for name, kind in OWN.items() if name not in rows]
    return rows.with_columns(*missing, *own).select(*schema.names, *OWN)


def empty(schema: pa.Schema) -> pl.DataFrame:
    """No raw rows, in the right columns."""
    return with_own_columns(pl.DataFrame(), schema).clear()


def together(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame; a column that came in different types is read as text."""
    for name in frames[0].columns:
        if len({frame.schema[name] for frame in frames}) > 1:
            frames = [frame.with_columns(_as_text(name, frame.schema[name])) for frame in frames]
    return pl.concat(frames)


def _as_text(name: str, held: pl.DataType) -> pl.Expr:
    if isinstance(held, pl.Datetime):
        return pl.col(name).dt.to_string("iso:strict")
    return pl.col(name).cast(pl.String)
