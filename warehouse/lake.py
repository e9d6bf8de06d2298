"""What warehouse reads of the lake besides rows: landed days, and the types of each table.

The lake is ingest's; the layout is a contract (docs/contracts.md), so nothing is imported.
"""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from domain.events import Source
from domain.files import only_writer, replacing_file
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


def write_types(cache: Path) -> None:
    """Write an empty file of each landed table: dbt learns a table's types before it has rows."""
    with only_writer(cache / "landed"):
        _write_types(cache)


def _write_types(cache: Path) -> None:
    for source, tables in LANDED.items():
        for table, schema in tables.items():
            path = cache / "landed" / source / table / f"{_PREFIX}{_NO_DAY}" / "part.parquet"
            if path.exists() and pq.read_schema(path).equals(schema):
                continue
            with replacing_file(path) as aside:
                pq.write_table(schema.empty_table(), aside)
