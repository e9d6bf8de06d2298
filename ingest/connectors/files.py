"""Any shop as files: ``events``, ``items`` and (optional) ``users`` in one folder.

CSV, JSON lines (``.jsonl``, ``.ndjson``), JSON or Parquet; the columns are those of
``domain.schemas.LANDED_EVENTS``, ``LANDED_ITEMS`` and ``LANDED_USERS``. A table may be several
files (``events.csv``, ``events_2026_02.csv``) or a folder of files (``events/*.parquet``).

A day in a file's name (``events_2026-02-01.csv``) says that this day was handed over, so
that an empty one is told from one that never came.

Items and users are one snapshot each: the file as it is. A history lands it on its first day (so
that it holds for all days), a single day lands it on that day.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import BadInputError
from domain.events import Source
from domain.schemas import LANDED
from ingest import columns
from ingest.connectors.reading import raw_rows
from ingest.raw import Raw, Wants, empty, every, with_own_columns

_REQUIRED: Final = {
    "events": ("event_type", "event_timestamp", "user_id", "item_id"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
}
_DAY: Final = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_OPTIONAL: Final = ("users",)
_FORMS: Final = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")


class Files:
    """The folder at ``path``."""

    source = Source.FILES

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, *, day: date | None, until: date | None, wants: Wants = every) -> Iterator[Raw]:
        """All wanted events, then the snapshots of items and users.

        Raises:
            BadInputError: If the folder, a table or a column is missing or misspelt.
        """
        if not self._path.is_dir():
            raise BadInputError(f"{self._path}: expected a folder with events, items and users")
        found = {table: self._files(table) for table in _REQUIRED}
        missing = [name for name in found if not found[name] and name not in _OPTIONAL]
        if missing:
            forms = ", ".join(_FORMS)
            raise BadInputError(
                f"{self._path}: no file for {' and '.join(missing)}: expected "
                f"{' and '.join(f'{name}.*' for name in missing)} as one of {forms}"
            )
        for table, files in found.items():
            said = () if files else (f"no {table} file: {table} are known by their id only",)
            # First, so that whoever wants no more tables knows before a file of the next is read.
            yield Raw(table, empty(LANDED["files"][table]), notes=said, is_stated=bool(files))
            for file in files:
                if table != "events" or wants(file):
                    yield from _table(table, file)

    def _files(self, table: str) -> list[Path]:
        inside = self._path / table
        named = [file for file in self._path.iterdir() if _is_part(file, table)]
        if inside.is_dir():
            named += [file for file in inside.rglob("*") if file.suffix.lower() in _FORMS]
        return sorted(file for file in named if file.is_file() and not file.name.startswith("."))


def _is_part(file: Path, table: str) -> bool:
    stem = file.stem.lower()
    named = stem == table or stem.startswith((f"{table}_", f"{table}-", f"{table}."))
    return named and file.suffix.lower() in _FORMS


def _table(table: str, file: Path) -> Iterator[Raw]:
    """The batches of one file, then what was left aside of it."""
    schema, names = LANDED["files"][table], set[str]()
    for rows in raw_rows(file, schema):
        names.update(rows.columns)
        yield Raw(table, with_own_columns(rows, schema), file, delivered=_named_day(file))
    ignored = columns.require(sorted(names), file, required=_REQUIRED[table], known=schema.names)
    if ignored:
        said = f"{file.name}: columns left aside: {', '.join(ignored)}"
        yield Raw(table, empty(schema), file, (said,))


def _named_day(file: Path) -> frozenset[date]:
    """The day in a file's name: such a file says that this day was handed over, rows or not."""
    found = _DAY.search(file.stem)
    try:
        return frozenset({date(*map(int, found.groups()))} if found else ())
    except ValueError:
        return frozenset()
