"""Whole days beside the lake: sorted, without duplicates, ready to take their place in one step.

For every day and in total: rows in = landed + duplicate + quarantined. Nothing of the lake changes
here, so whoever looks at all the days may still refuse them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from domain.tables import write_parts
from ingest import content
from ingest.ledger import Entry
from ingest.spool import DayRows, Spool

QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("line", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Staged:
    """The days that were asked for.

    Attributes:
        entries: What the ledger is to say of each day.
        landed: The file of each day that the lake does not hold yet.
        quarantined: The file of each day that has refused rows.
        reasons: (day, reason) → refused rows.
    """

    entries: dict[date | None, Entry]
    landed: dict[date, Path]
    quarantined: dict[date | None, Path]
    reasons: Counter[tuple[date | None, str]]

    def only(self, days: Set[date | None]) -> "Staged":
        """The same, of some of the days."""
        chosen = {day: entry for day, entry in self.entries.items() if day in days}
        reasons = {(day, why): n for (day, why), n in self.reasons.items() if day in days}
        return replace(self, entries=chosen, reasons=Counter(reasons))


def stage(
    spool: Spool,
    days: Set[date | None],
    folder: Path,
    schema: pa.Schema,
    *,
    is_held: Callable[[Entry], bool],
) -> Staged:
    """Write the days of a spool below ``folder``.

    Args:
        spool: All rows of the table, those of other days too: an id may stand there first.
        days: The days to write, also those without rows.
        folder: Empty.
        schema: The landed schema.
        is_held: Whether the lake has a day already; then its rows are only counted and hashed.
    """
    quarantined = {
        day: _write(parts, folder / f"quarantined/event_date={day}.parquet", QUARANTINE_SCHEMA)
        for day, parts in spool.refused()
        if day in days
    }
    refused = Counter[date | None]()
    for (day, _), count in spool.reasons.items():
        refused[day] += count
    entries, landed = {}, {}
    for day, parts in _with_empty_days(spool.landed(), days):
        told = _Told(schema.names)
        path = folder / f"landed/event_date={day}.parquet"
        _write(map(told.pass_on, parts), path, schema)
        repeated = spool.rows_in[day] - told.rows - refused[day]
        entries[day] = Entry(
            day, spool.rows_in[day], told.rows, repeated, refused[day], told.hash.hexdigest()
        )
        if day is None or is_held(entries[day]):
            path.unlink()
        else:
            landed[day] = path
    reasons = Counter({(day, why): n for (day, why), n in spool.reasons.items() if day in days})
    return Staged(entries, landed, quarantined, reasons)


class _Told:
    """Counts and hashes the rows that pass."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.rows, self.hash = 0, content.DayHash()

    def pass_on(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The same rows."""
        self.rows += rows.height
        self.hash.update(content.text(rows, self._names))
        return rows


def _with_empty_days(landed: DayRows, days: Set[date | None]) -> DayRows:
    """Those of ``days`` that have rows, then the others."""
    empty = set(days)
    for day, parts in landed:
        if day in days:
            empty.discard(day)
            yield day, parts
    for day in empty:
        yield day, iter(())


def _write(parts: Iterable[pl.DataFrame], path: Path, schema: pa.Schema) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parts((part.select(schema.names).to_arrow().cast(schema) for part in parts), path, schema)
    return path
