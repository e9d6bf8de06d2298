"""Is the lake what the ledger says? Recomputed from the files, day by day.

What a duplicate was cannot be recomputed without the source; everything else can.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingest import content, ledger
from ingest.landing import PART, UNKNOWN, Place
from ingest.ledger import Entry
from ingest.rules import RULES

REASONS: Final = frozenset(rule.__name__ for rule in RULES)


@dataclass(frozen=True)
class Break:
    """Where something is not as it was said. ``day`` None: no day of its own."""

    where: str
    day: date | None
    said: str

    def __str__(self) -> str:
        return f"{self.where} {self.day}: {self.said}" if self.day else f"{self.where}: {self.said}"


@dataclass(frozen=True)
class Audit:
    """The ledger's sums over all tables, and where the files differ from it."""

    days: int
    rows_in: int
    rows_landed: int
    rows_duplicate: int
    rows_quarantined: int
    reasons: Mapping[str, int]
    breaks: tuple[Break, ...]


def audit(lake: Path) -> Audit:
    """Read every landed and quarantined file and hold it against the ledger."""
    breaks: list[Break] = []
    reasons: Counter[str] = Counter()
    entries: list[Entry] = []
    for source, table in ledger.tables(lake):
        place = Place(lake, source, table)
        by_day = ledger.entries(lake, source, table)
        entries += by_day.values()
        for entry in by_day.values():
            breaks += _of_day(place, entry, reasons)
        breaks += _unaccounted(place, set(by_day))
    return Audit(
        days=len({entry.event_date for entry in entries if entry.event_date}),
        rows_in=sum(entry.rows_in for entry in entries),
        rows_landed=sum(entry.rows_landed for entry in entries),
        rows_duplicate=sum(entry.rows_duplicate for entry in entries),
        rows_quarantined=sum(entry.rows_quarantined for entry in entries),
        reasons=reasons,
        breaks=tuple(breaks),
    )


def _of_day(place: Place, entry: Entry, reasons: Counter[str]) -> Iterator[Break]:
    """The breaks of one day; its refused rows are added to ``reasons``."""
    day = entry.event_date
    where = f"lake {place.source}.{place.table}"
    refused = _read(place.quarantine(day))
    held = 0 if refused is None else refused.num_rows
    if held != entry.rows_quarantined:
        yield Break(where, day, f"{entry.rows_quarantined} rows quarantined, but {held} are there")
    if refused is not None:
        named = Counter(refused["reason"].to_pylist())
        reasons.update(named)
        if unknown := sorted(str(reason) for reason in named if reason not in REASONS):
            yield Break(where, day, f"quarantined for what is no rule: {', '.join(unknown)}")
    if day is None:
        return
    landed = _read(place.folder(day))
    if landed is None:
        yield Break(where, day, f"{entry.rows_landed} rows landed, but there is no readable file")
    elif landed.num_rows != entry.rows_landed:
        yield Break(where, day, f"{entry.rows_landed} rows landed, but {landed.num_rows} are there")
    elif content.table_hash(landed) != entry.content_hash:
        yield Break(where, day, f"{entry.rows_landed} rows landed, but their content changed")


def _unaccounted(place: Place, known: set[date | None]) -> Iterator[Break]:
    """Folders that no ledger row stands for: a killed ingest that was never run again."""
    folders = [*place.folder(date.min).parent.glob("event_date=*")]
    folders += place.quarantine(None).parent.glob("event_date=*")
    for folder in folders:
        name = folder.name.removeprefix("event_date=")
        day = None if name == UNKNOWN else date.fromisoformat(name)
        if day not in known:
            yield Break(f"lake {place.source}.{place.table}", day, f"{folder} is in no ledger")


def _read(folder: Path) -> pa.Table | None:
    try:
        return pq.ParquetFile(folder / PART).read()
    except (OSError, pa.ArrowInvalid):
        return None
