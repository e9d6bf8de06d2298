"""Writes the marts' days as Parquet: what every reader after dbt sees.

``marts/<table>/event_date=D/part.parquet``: exactly the table's Arrow schema, sorted by its grain,
the same bytes for the same rows. A day whose bytes are unchanged is left alone; a day that became
empty disappears.
"""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.files import replacing_file
from domain.progress import silent
from domain.schemas import MARTS
from domain.settings import Settings
from warehouse.connection import Warehouse, open_warehouse
from warehouse.lake import partition_days
from warehouse.plan import Plan
from warehouse.run import Say

REJECTED_EVENTS: Final = pa.schema(
    [
        pa.field("event_date", pa.date32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

PUBLISHED: Final = MappingProxyType({**MARTS, "rejected_events": REJECTED_EVENTS})

# What identifies a row within one day: the order of the rows in a file.
GRAINS: Final = MappingProxyType(
    {
        "events": ("event_id",),
        "rejected_events": ("source", "source_id"),
        "users": ("user_id",),
        "items": ("item_id",),
        "interactions": ("user_id", "item_id", "event_type"),
        "sessions": ("session_id",),
        "user_features": ("user_id",),
        "item_features": ("item_id",),
        "user_history": ("user_id",),
        "retrieval_examples": ("user_id", "item_id"),
        "ranking_examples": ("user_id", "item_id"),
    }
)

LOOKING_BACK: Final = frozenset(
    {"users", "items", "user_features", "item_features", "user_history"}
)
"""Tables that are replaced on ``Plan.feature_days``; the others on ``Plan.days``."""

_DAYS_AT_ONCE: Final = 64  # bounds the memory of a full history; a user_history day has 1 MB


@dataclass
class Published:
    """Files written, left alone and removed, per table; rows in the plan's days."""

    written: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def publish(settings: Settings, plan: Plan, *, progress: Say = silent) -> Published:
    """Write every table's days of the plan; safe to repeat, also after a kill half way."""
    published = Published()
    with open_warehouse(settings) as warehouse:
        for number, table in enumerate(PUBLISHED, start=1):
            days = plan.feature_days if table in LOOKING_BACK else plan.days
            _publish_table(settings.marts, warehouse, table, days, published)
            message = f"{table}: {published.written[table]} of {len(days)} days changed"
            progress("publish", message, done=number, total=len(PUBLISHED))
    return published


def _publish_table(
    marts: Path,
    warehouse: Warehouse,
    table: str,
    days: Iterable[date],
    published: Published,
) -> None:
    written = rows = kept = 0
    full: set[date] = set()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for batch in _batches(sorted(days)):
            parts = _read(warehouse, table, batch)
            full |= parts.keys()
            rows += sum(len(part) for part in parts.values())
            changes = list(pool.map(partial(_write, marts / table), parts, parts.values()))
            written += sum(changes)
            kept += len(changes) - sum(changes)
    gone = (set(days) - full) & partition_days(marts / table)
    for day in gone:
        shutil.rmtree(marts / table / f"event_date={day}")
    published.written[table] = written
    published.unchanged[table] = kept
    published.removed[table] = len(gone)
    published.rows[table] = rows


def _batches(days: list[date]) -> Iterator[list[date]]:
    for start in range(0, len(days), _DAYS_AT_ONCE):
        yield days[start : start + _DAYS_AT_ONCE]


def _read(warehouse: Warehouse, table: str, days: list[date]) -> dict[date, pa.Table]:
    schema = PUBLISHED[table]
    has_day = "event_date" in schema.names
    dated = schema if has_day else schema.append(pa.field("event_date", pa.date32()))
    order = ", ".join(["event_date", *GRAINS[table]])
    rows = warehouse.days(table, dated, first=days[0], last=days[-1], order=order)
    dates = rows["event_date"].combine_chunks()
    runs = pc.run_end_encode(dates) if len(rows) else None
    parts: dict[date, pa.Table] = {}
    start = 0
    for day, end in _runs(runs):
        if day in set(days):
            parts[day] = rows.slice(start, end - start).select(schema.names).cast(schema)
        start = end
    return parts


def _runs(runs: pa.RunEndEncodedArray | None) -> Iterator[tuple[date, int]]:
    if runs is not None:
        yield from zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True)


def _write(folder: Path, day: date, rows: pa.Table) -> bool:
    path = folder / f"event_date={day}" / "part.parquet"
    buffer = pa.BufferOutputStream()
    pq.write_table(rows.combine_chunks(), buffer, compression="zstd")
    content = buffer.getvalue()
    if path.exists() and path.read_bytes() == content.to_pybytes():
        return False
    with replacing_file(path) as aside:
        aside.write_bytes(content)
    return True
