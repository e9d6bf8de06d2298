"""A day costs what changed: files that are as they were, and hold nothing of it, are not read.

Of every file that was read it is kept which days it held, a hash of every id on them, and the rows
whose day nobody knows, so that they need not be read again. For one day are then read: the files
that are new or changed; all files that hold one of the days these held, or hold now, or the asked
day; and, as an id may stand on two days, all files of a day on which one of those ids stands. That
is gone through until it ends. So the days that may have changed are read whole, and the result is
that of reading everything; two ids of one hash only make it read more.

A file is as it was if its size, its inode and its times of change (mtime and ctime, nanoseconds)
are. Nobody sets a ctime back; a file system that has none, or a file rewritten in the same size
within the clock tick (some ms) of its last reading, can deceive it until its day is asked for, or a
history is landed: both read the file again. What is kept lies in the cache: without it, after
another version of this code, and for a history, everything is read.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import uuid4

from domain.files import put, sweep_beside, write_json
from domain.settings import REPOSITORY
from ingest.raw import Raw
from ingest.sift import Judged
from ingest.spool import Spool

_READS_WITH: Final = ("ingest/**/*.py", "domain/schemas.py", "domain/events.py")

Day = date | None


@dataclass(frozen=True)
class Record:
    """What a file held when it was read.

    Attributes:
        stamp: How the file was just before it was read.
        days: The days of its rows, refused ones too; None: the unknown day.
        delivered: Days it handed over by its name.
        notes: What was said about it.
        due: From when on a row that was in the future no longer is.
        ids: The file of its ids' hashes and their days; "" if it had no fit row.
        unknown: The file of its refused rows without a day; "" if it had none.
    """

    stamp: tuple[int, ...]
    days: frozenset[Day] = frozenset()
    delivered: frozenset[date] = frozenset()
    notes: tuple[str, ...] = ()
    due: datetime | None = None
    ids: str = ""
    unknown: str = ""

    @property
    def kept(self) -> set[str]:
        """The names of the files that tell more of it."""
        return {self.ids, self.unknown} - {""}


class Recall:
    """Which files of one table must be read, for as long as one ingest takes.

    Args:
        folder: Where it is kept what the files of this table held.
        asked: The days that are read in any case; None: read everything.
        now: The wall clock.
    """

    def __init__(self, folder: Path, *, asked: Set[date] | None, now: datetime) -> None:
        self._folder = folder
        self._before = {} if asked is None else _read(folder)
        self._touched: set[Day] = set(asked or ())
        self._now = now
        self._there: dict[Path, tuple[int, ...]] = {}
        self._found: dict[Path, Record] = {}

    def wants(self, file: Path) -> bool:
        """Whether a file must be read now. To be asked of every file that is there."""
        if file not in self._there:
            self._there[file] = _stamp(file)
        if file in self._found:
            return False
        is_wanted = self._is_changed(file) or self._holds_touched(self._before[file])
        if is_wanted:
            self._found[file] = Record(self._there[file])
        return is_wanted

    def note(self, raw: Raw, judged: Judged) -> int | None:
        """Remember a batch; the number of its file for the spool."""
        if raw.file not in self._found:
            return None
        held = self._found[raw.file]
        due = [moment for moment in (held.due, judged.due()) if moment]
        self._found[raw.file] = replace(
            held,
            days=held.days | judged.rows_in().keys(),
            delivered=held.delivered | raw.delivered,
            notes=held.notes + raw.notes,
            due=min(due, default=None),
        )
        return list(self._found).index(raw.file)

    def goes_on(self, spool: Spool) -> bool:
        """Whether more files must be read, now that those wanted so far were."""
        skipped = {file: self._before[file] for file in self._skipped}
        changed = [file for file in self._found if self._is_changed(file)]
        gone = [self._before[file] for file in self._before if file not in self._there]
        gone += [self._before[file] for file in changed if file in self._before]
        self._touched.update(*(self._found[file].days for file in changed))
        self._touched.update(*(record.days for record in gone))
        while skipped:
            found = spool.days_of_same_ids(
                self._touched,
                gone=self._ids(gone),
                elsewhere=self._ids(skipped.values()),
            )
            if found <= self._touched:
                break
            self._touched |= found
        return any(map(self._holds_touched, skipped.values()))

    def add_unknown(self, spool: Spool) -> None:
        """Add the rows without a day of the files that were not read, if others have changed."""
        for file in self._skipped if None in self._touched else ():
            if self._before[file].unknown:
                spool.add_unknown(self._folder / self._before[file].unknown)

    def is_whole(self, day: Day) -> bool:
        """Whether every file that holds rows of a day was read."""
        return not self._skipped or day in self._touched

    @property
    def reach(self) -> set[date]:
        """The days of the files that were not read."""
        records = [self._before[file] for file in self._skipped]
        return {day for one in records for day in (*one.days, *one.delivered) if day}

    @property
    def notes(self) -> list[str]:
        """What was said about the files that were not read."""
        return [note for file in self._skipped for note in self._before[file].notes]

    def keep(self, spool: Spool, aside: Path) -> None:
        """Remember all of it for the next time. Only once everything that was read has landed."""
        if not self._there:
            return  # The source is no files.
        sweep_beside(self._index)
        ids, unknown = spool.write_ids(aside / "ids"), spool.write_unknown(aside / "unknown")
        records = {file: self._before[file] for file in self._skipped}
        for number, (file, record) in enumerate(self._found.items()):
            records[file] = replace(
                record, ids=self._put(ids.get(number)), unknown=self._put(unknown.get(number))
            )
        told = {str(file): _told(record) for file, record in records.items()}
        write_json(self._index, {"code": _code(), "files": told})
        used = set[str]().union(*(record.kept for record in records.values()))
        for path in self._folder.glob("*.parquet"):
            if path.name not in used:
                path.unlink()

    def _put(self, path: Path | None) -> str:
        if path is None:
            return ""
        name = f"{uuid4().hex}.parquet"
        put(path, self._folder / name)
        return name

    def forget(self) -> None:
        """Read everything the next time."""
        sweep_beside(self._index)
        self._index.unlink(missing_ok=True)

    @property
    def _index(self) -> Path:
        return self._folder / "files.json"

    @property
    def _skipped(self) -> list[Path]:
        return [file for file in self._there if file not in self._found]

    def _is_changed(self, file: Path) -> bool:
        before = self._before.get(file)
        is_due = before is not None and before.due is not None and before.due <= self._now
        return before is None or before.stamp != self._there[file] or is_due

    def _holds_touched(self, record: Record) -> bool:
        return bool(record.days & self._touched - {None})

    def _ids(self, records: Iterable[Record]) -> list[str]:
        return sorted(str(self._folder / record.ids) for record in records if record.ids)


def _stamp(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(folder: Path) -> dict[Path, Record]:
    """What was kept; nothing, if it was kept by other code or a part of it is gone."""
    try:
        content = json.loads((folder / "files.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if content["code"] != _code():
        return {}
    records = {Path(file): _record(told) for file, told in content["files"].items()}
    is_whole = all((folder / name).is_file() for one in records.values() for name in one.kept)
    return records if is_whole else {}


def _told(record: Record) -> dict[str, object]:
    return {
        "stamp": record.stamp,
        "days": sorted(str(day or "") for day in record.days),
        "delivered": sorted(map(str, record.delivered)),
        "notes": record.notes,
        "due": record.due and record.due.isoformat(),
        "ids": record.ids,
        "unknown": record.unknown,
    }


def _record(told: Mapping[str, list[str]]) -> Record:
    return Record(
        stamp=tuple(map(int, told["stamp"])),
        days=frozenset(date.fromisoformat(day) if day else None for day in told["days"]),
        delivered=frozenset(map(date.fromisoformat, told["delivered"])),
        notes=tuple(told["notes"]),
        due=datetime.fromisoformat(str(told["due"])) if told["due"] else None,
        ids=str(told["ids"]),
        unknown=str(told["unknown"]),
    )


@cache
def _code() -> str:
    """Changes with whatever may read or judge a row otherwise."""
    digest = hashlib.sha256("/".join(map(version, ("polars", "pyarrow", "duckdb"))).encode())
    for pattern in _READS_WITH:
        for file in sorted(REPOSITORY.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()
