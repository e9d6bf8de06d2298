"""Writes the marts' days as Parquet: what every reader after dbt sees.

``marts/<table>/event_date=D/part.parquet``: exactly the table's Arrow schema, sorted by its grain,
the same bytes for the same rows. A day whose bytes are unchanged is left alone; a day that became
empty disappears.
"""

import filecmp
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from domain.files import file_aside, put
from domain.progress import silent
from domain.schemas import MARTS
from domain.settings import Settings
from domain.tables import write_parts
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

_DAYS_AT_ONCE: Final = 64  # Bounds what is sorted at once.


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
    wanted = sorted(days)
    full: set[date] = set()
    written = rows = 0
    for first in range(0, len(wanted), _DAYS_AT_ONCE):
        batch = wanted[first : first + _DAYS_AT_ONCE]
        for day, parts in _read(warehouse, table, batch):
            if day in batch:
                full.add(day)
                count, is_new = _write(marts / table, day, parts, PUBLISHED[table])
                rows, written = rows + count, written + is_new
    gone = (set(wanted) - full) & partition_days(marts / table)
    for day in gone:
        shutil.rmtree(marts / table / f"event_date={day}")
    published.written[table] = written
    published.unchanged[table] = len(full) - written
    published.removed[table] = len(gone)
    published.rows[table] = rows


def _read(
    warehouse: Warehouse, table: str, days: list[date]
) -> Iterator[tuple[date, Iterator[pa.Table]]]:
    """Each day that has rows, oldest first, with its rows in parts."""
    schema = PUBLISHED[table]
    has_day = "event_date" in schema.names
    dated = schema if has_day else schema.append(pa.field("event_date", pa.date32()))
    order = ", ".join(["event_date", *GRAINS[table]])
    parts = warehouse.days(table, dated, first=days[0], last=days[-1], order=order)
    pieces = (piece for part in parts for piece in _by_day(part))
    for day, run in groupby(pieces, key=itemgetter(0)):
        yield day, (piece.select(schema.names).cast(schema) for _, piece in run)


def _by_day(part: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    runs = pc.run_end_encode(part["event_date"].combine_chunks())
    start = 0
    for day, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield day, part.slice(start, end - start)
        start = end


def _write(
    folder: Path, day: date, parts: Iterable[pa.Table], schema: pa.Schema
) -> tuple[int, bool]:
    """How many rows the day has, and whether its file changed."""
    path = folder / f"event_date={day}" / "part.parquet"
    with file_aside(path) as aside:
        count = write_parts(parts, aside, schema)
        is_new = not (path.exists() and filecmp.cmp(aside, path, shallow=False))
        if is_new:
            put(aside, path)
    return count, is_new
