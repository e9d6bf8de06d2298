"""What warehouse reads of the lake besides rows: landed days, dirty days, the types of each table.

The lake is ingest's; the layout is a contract (docs/contracts.md), so nothing is imported.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from domain.events import Source
from domain.files import replacing_file
from domain.schemas import LANDED

_PREFIX = "event_date="
_NO_DAY = "1970-01-01"


def partition_days(folder: Path) -> set[date]:
    """The days that have a folder ``event_date=D`` with a file in it."""
    return {
        date.fromisoformat(part.parent.name.removeprefix(_PREFIX))
        for part in folder.glob(f"{_PREFIX}[0-9]*/part.parquet")
    }


def landed_days(lake: Path, source: Source) -> list[date]:
    """Every day on which the shop or the storefront landed rows of any table, oldest first."""
    days = {
        day
        for name in {source, Source.STOREFRONT}
        for table in LANDED[name]
        for day in partition_days(lake / name / table)
    }
    return sorted(days)


def dirty_days(lake: Path) -> set[date]:
    """The days that must be rebuilt: ``lake/dirty/<date>``, empty files."""
    return {
        date.fromisoformat(mark.name)
        for mark in (lake / "dirty").glob("*")
        if not mark.name.startswith(".")
    }


def mark_dirty(lake: Path, days: Iterable[date]) -> None:
    """Remember what is about to be rebuilt: a kill in between leaves it to the next build.

    A day that is marked keeps its mark as it is: its age says whether the lake changed since.
    """
    (lake / "dirty").mkdir(parents=True, exist_ok=True)
    for day in days:
        mark = lake / "dirty" / day.isoformat()
        if not mark.exists():
            mark.touch()


def clear_dirty(lake: Path, days: Iterable[date], *, marked_before_ns: int) -> None:
    """Forget the days that were rebuilt, except those that were marked again meanwhile."""
    for day in days:
        mark = lake / "dirty" / day.isoformat()
        if mark.exists() and mark.stat().st_mtime_ns <= marked_before_ns:
            mark.unlink(missing_ok=True)


def write_types(cache: Path) -> None:
    """Write an empty file of each landed table: dbt learns a table's types before it has rows."""
    for source, tables in LANDED.items():
        for table, schema in tables.items():
            path = cache / "landed" / source / table / f"{_PREFIX}{_NO_DAY}" / "part.parquet"
            if path.exists() and pq.read_schema(path).equals(schema):
                continue
            with replacing_file(path) as aside:
                pq.write_table(schema.empty_table(), aside)
