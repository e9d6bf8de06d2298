"""Sifted rows onto the disk: day folders, quarantine, dirty marks, ledger; in that safe order.

A day is marked dirty before its folder changes, and the ledger is written after the folders: a
kill at any moment leaves days that the next ordinary run finds unfinished and lands again, with
the same bytes.
"""

import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from domain import dirty
from domain.files import replacing_file
from domain.progress import Progress, silent
from ingest import ledger
from ingest.ledger import Entry
from ingest.sift import DAY, Sifted

PART: Final = "part.parquet"
UNKNOWN: Final = "unknown"
QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("line", pa.int64()),
    ]
)
_LEDGER_EVERY: Final = 100


@dataclass(frozen=True)
class Place:
    """Where one table of one source lands."""

    lake: Path
    source: str
    table: str

    def folder(self, day: date) -> Path:
        """The folder of a landed day."""
        return self.lake / self.source / self.table / f"event_date={day}"

    def quarantine(self, day: date | None) -> Path:
        """The folder of a day's refused rows."""
        root = self.lake / "quarantine" / self.source / self.table
        return root / f"event_date={day or UNKNOWN}"


@dataclass
class Landed:
    """What happened to one table."""

    entries: dict[date | None, Entry] = field(default_factory=dict)
    written: list[date] = field(default_factory=list)

    @property
    def days(self) -> list[date]:
        """The days that have a folder now, oldest first."""
        return sorted(day for day in self.entries if day is not None)

    def total(self, number: str) -> int:
        """The sum over the days of ``rows_in``, ``rows_landed`` or another number."""
        return sum(getattr(entry, number) for entry in self.entries.values())


def land(
    sifted: Sifted,
    place: Place,
    schema: pa.Schema,
    *,
    always: frozenset[date] = frozenset(),
    progress: Progress | None = None,
) -> Landed:
    """Make the lake hold exactly ``sifted`` on its days; days that already do are left alone.

    Args:
        sifted: The days, whole.
        place: Where they go.
        schema: The landed schema.
        always: Days to write even if the lake already holds the same.
        progress: Told after every hundredth day.
    """
    known = ledger.entries(place.lake, place.source, place.table)
    result = Landed()
    for number, (day, rows) in enumerate(sifted.by_day(), start=1):
        entry = sifted.entries[day]
        _write_quarantine(sifted.quarantined, place, day, entry)
        if day is not None and (day in always or not _holds(place, day, known.get(day), entry)):
            dirty.mark(place.lake, day)
            _write_day(rows, place.folder(day), schema)
            # Again: a build that read the old folder may have cleared the first mark meanwhile.
            dirty.mark(place.lake, day)
            result.written.append(day)
        result.entries[day] = entry
        if number % _LEDGER_EVERY == 0:
            ledger.write(place.lake, place.source, place.table, known | result.entries)
            _tell(progress or silent, place, result, total=len(sifted.counts))
    ledger.write(place.lake, place.source, place.table, known | result.entries)
    _tell(progress or silent, place, result, total=len(sifted.counts))
    return result


def _holds(place: Place, day: date, known: Entry | None, entry: Entry) -> bool:
    """Whether the lake already has this very day; a lost or cut file counts as not.

    A replay changes how many rows came in and were repeated, not what is landed.
    """
    if known is None or known.content_hash != entry.content_hash:
        return False
    try:
        return pq.read_metadata(place.folder(day) / PART).num_rows == entry.rows_landed
    except (OSError, pa.ArrowInvalid):
        return False


def _write_day(rows: pl.DataFrame, folder: Path, schema: pa.Schema) -> None:
    table = rows.select(schema.names).to_arrow().cast(schema).combine_chunks()
    # The file takes the old one's place in one step: a build that reads meanwhile finds either.
    with replacing_file(folder / PART) as aside:
        pq.write_table(table, aside, compression="zstd")


def _write_quarantine(
    quarantined: pl.DataFrame, place: Place, day: date | None, entry: Entry
) -> None:
    folder = place.quarantine(day)
    if entry.rows_quarantined == 0:
        shutil.rmtree(folder, ignore_errors=True)
        return
    rows = quarantined.filter(pl.col(DAY).eq_missing(pl.lit(day, dtype=pl.Date)))
    table = rows.select(QUARANTINE_SCHEMA.names).to_arrow().cast(QUARANTINE_SCHEMA)
    with replacing_file(folder / PART) as aside:
        pq.write_table(table.combine_chunks(), aside, compression="zstd")


def _tell(progress: Progress, place: Place, result: Landed, *, total: int) -> None:
    progress(
        "ingest",
        f"{place.source}.{place.table}: {len(result.entries)} of {total} days, "
        f"{result.total('rows_landed'):,} rows landed",
        done=len(result.entries),
        total=total,
    )
