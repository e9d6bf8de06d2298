"""Rows as a source handed them over, before anyone has judged them, a batch at a time.

A frame of raw rows has the columns of the landed table (text or already typed; missing ones are
filled with nulls) and four of our own:

- ``_line``: the record's number in its file (a header is number 1), null where there is no file;
- ``_text``: for a record that could not be split into columns, its text; null for all others;
- ``_arrived``: the UTC day on which the source handed the row over, null where nobody knows;
- ``_is_day_first``: whether the row's file writes 31/1/2026, null where nobody asked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Protocol

import polars as pl
import pyarrow as pa

from domain.events import Source

OWN: Final = {
    "_line": pl.Int64(),
    "_text": pl.String(),
    "_arrived": pl.Date(),
    "_is_day_first": pl.Boolean(),
}


Wants = Callable[[Path], bool]


def every(file: Path) -> bool:
    """Every file is wanted."""
    return True


@dataclass(frozen=True)
class Raw:
    """Some of the raw rows of one table, few enough to be held.

    Attributes:
        file: Where the rows stand, if the source is files.
        notes: Sentences for the receipt (a file left aside …).
        is_stated: Whether the source says anything of the table; that it has no row is something.
        known_days: Days that are odd and right, and why (``domain.accepted_days``).
        delivered: Days that the source handed over by name, also where they have no rows.
    """

    table: str
    rows: pl.DataFrame
    file: Path | None = None
    notes: tuple[str, ...] = ()
    is_stated: bool = True
    delivered: frozenset[date] = frozenset()
    known_days: Mapping[date, str] = field(default_factory=dict)


class Connector(Protocol):
    """One source of rows. Reads only; knows nothing of the lake."""

    source: Source

    def read(self, *, day: date | None, until: date | None, wants: Wants) -> Iterator[Raw]:
        """Everything the source has, table after table, events (or transactions) first.

        Of a table without rows one empty batch comes.

        Args:
            day: The one day that is asked for; a source of snapshots gives that day's snapshot.
                None for a history.
            until: First day that is not asked for; None for no end. A hint: rows beyond it may
                come and are left aside by the caller.
            wants: Whether a file of events (or transactions) is to be read; asked of each of them
                just before it is.
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
