"""Staged days into the lake: day folders, quarantine, dirty marks, ledger; in that safe order.

A day is marked dirty before its folder changes, and the ledger is written after the folders: a
kill at any moment leaves days that the next ordinary run finds unfinished and lands again, with
the same bytes.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from domain import dirty
from domain.files import put
from domain.progress import Progress, silent
from ingest import ledger
from ingest.ledger import Entry
from ingest.staging import Staged

PART: Final = "part.parquet"
UNKNOWN: Final = "unknown"
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
    staged: Staged,
    place: Place,
    *,
    known: Mapping[date | None, Entry],
    progress: Progress | None = None,
) -> Landed:
    """Make the lake hold exactly what is staged on its days.

    Args:
        staged: The days, whole.
        place: Where they go.
        known: What the ledger says of the table.
        progress: Told after every hundredth day.
    """
    result = Landed()
    for number, (day, entry) in enumerate(_oldest_first(staged.entries), start=1):
        _put_quarantine(staged, place, day)
        if day is not None and day in staged.landed:
            dirty.mark(place.lake, day)
            # The file takes the old one's place in one step: a build that reads meanwhile finds
            # either.
            put(staged.landed[day], place.folder(day) / PART)
            # Again: a build that read the old folder may have cleared the first mark meanwhile.
            dirty.mark(place.lake, day)
            result.written.append(day)
        result.entries[day] = entry
        if number % _LEDGER_EVERY == 0:
            ledger.write(place.lake, place.source, place.table, {**known, **result.entries})
            _tell(progress or silent, place, result, total=len(staged.entries))
    ledger.write(place.lake, place.source, place.table, {**known, **result.entries})
    _tell(progress or silent, place, result, total=len(staged.entries))
    return result


def holds(place: Place, known: Entry | None, entry: Entry) -> bool:
    """Whether the lake already has this very day; a lost or cut file counts as not.

    A replay changes how many rows came in and were repeated, not what is landed.
    """
    if entry.event_date is None or known is None or known.content_hash != entry.content_hash:
        return False
    try:
        path = place.folder(entry.event_date) / PART
        return pq.read_metadata(path).num_rows == entry.rows_landed
    except (OSError, pa.ArrowInvalid):
        return False


def _oldest_first(entries: Mapping[date | None, Entry]) -> list[tuple[date | None, Entry]]:
    return sorted(entries.items(), key=lambda told: told[0] or date.max)


def _put_quarantine(staged: Staged, place: Place, day: date | None) -> None:
    folder = place.quarantine(day)
    if day in staged.quarantined:
        put(staged.quarantined[day], folder / PART)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(progress: Progress, place: Place, result: Landed, *, total: int) -> None:
    progress(
        "ingest",
        f"{place.source}.{place.table}: {len(result.entries)} of {total} days, "
        f"{result.total('rows_landed'):,} rows landed",
        done=len(result.entries),
        total=total,
    )
