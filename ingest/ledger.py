"""The ledger: what came in on each day and where it went, one Parquet file a source and table.

``rows_in = rows_landed + rows_duplicate + rows_quarantined`` in every row. ``event_date`` is null
for the rows whose day cannot be known; they are in ``quarantine/…/event_date=unknown``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from domain.errors import ReconciliationError
from domain.files import replacing_file

SCHEMA: Final = pa.schema(
    [
        pa.field("event_date", pa.date32()),
        pa.field("rows_in", pa.int64(), nullable=False),
        pa.field("rows_landed", pa.int64(), nullable=False),
        pa.field("rows_duplicate", pa.int64(), nullable=False),
        pa.field("rows_quarantined", pa.int64(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
    ]
)
READ_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        *SCHEMA,
    ]
)


@dataclass(frozen=True)
class Entry:
    """One day of one table. ``content_hash`` is ``ingest.content.day_hash`` of what is landed."""

    event_date: date | None
    rows_in: int
    rows_landed: int
    rows_duplicate: int
    rows_quarantined: int
    content_hash: str

    def __post_init__(self) -> None:
        accounted = self.rows_landed + self.rows_duplicate + self.rows_quarantined
        if self.rows_in != accounted:
            raise ReconciliationError(
                f"{self.event_date or 'unknown day'}: {self.rows_in} rows in, but "
                f"{self.rows_landed} landed + {self.rows_duplicate} duplicate + "
                f"{self.rows_quarantined} quarantined = {accounted}"
            )


def path(lake: Path, source: str, table: str) -> Path:
    """Where the ledger of one table stands."""
    return lake / "ledger" / source / f"{table}.parquet"


def entries(lake: Path, source: str, table: str) -> dict[date | None, Entry]:
    """The ledger of one table by day; empty before anything landed."""
    file = path(lake, source, table)
    if not file.exists():
        return {}
    rows = pq.ParquetFile(file).read().to_pylist()
    return {row["event_date"]: Entry(**row) for row in rows}


def write(lake: Path, source: str, table: str, by_day: Mapping[date | None, Entry]) -> None:
    """Replace the ledger of one table, atomically; oldest day first, the unknown day last."""
    ordered = sorted(by_day.values(), key=lambda entry: entry.event_date or date.max)
    rows = pa.Table.from_pylist([asdict(entry) for entry in ordered], schema=SCHEMA)
    with replacing_file(path(lake, source, table)) as aside:
        pq.write_table(rows, aside, compression="zstd")


def tables(lake: Path) -> list[tuple[str, str]]:
    """The (source, table) pairs that have a ledger, sorted."""
    return sorted(
        (file.parent.name, file.stem)
        for file in (lake / "ledger").glob("*/*.parquet")
        if not file.name.startswith(".")
    )


def read(lake: Path) -> pa.Table:
    """All ledgers as one table: ``source``, ``table`` and the columns of ``SCHEMA``."""
    rows = [
        {"source": source, "table": table, **asdict(entry)}
        for source, table in tables(lake)
        for entry in entries(lake, source, table).values()
    ]
    return pa.Table.from_pylist(rows, schema=READ_SCHEMA)
