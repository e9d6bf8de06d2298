"""After every build: landed rows = events + rejected events, or nothing moves on.

Per day and source. dbt ends green with rows missing when a day was forgotten; only counting from
outside sees it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import ReconciliationError
from domain.events import Source
from domain.settings import Settings
from warehouse.connection import Warehouse, open_warehouse, read_with_duckdb
from warehouse.lake import partition_days

# The one table of each source whose rows become events.
EVENT_TABLES: Final = {
    Source.SIMULATED: "events",
    Source.FILES: "events",
    Source.ONLINE_RETAIL: "transactions",
    Source.STOREFRONT: "events",
}

Counts = dict[tuple[date, str], int]


@dataclass(frozen=True)
class Reconciled:
    """Rows of the reconciled days: ``landed == accepted + rejected``; ``reasons`` of the latter."""

    landed: int
    accepted: int
    rejected: int
    reasons: dict[str, int]


def reconcile(settings: Settings, days: Iterable[date]) -> Reconciled:
    """Count what was landed on some days and where it went.

    Raises:
        ReconciliationError: Naming the first day and source that do not add up, and how many more.
    """
    wanted = sorted(set(days))
    landed = _landed(settings, wanted)
    with open_warehouse(settings) as warehouse:
        accepted = _counts(warehouse, "events", wanted)
        rejected = _counts(warehouse, "rejected_events", wanted)
        reasons = _reasons(warehouse, wanted)
    broken = [
        f"{day} {source}: {landed.get((day, source), 0)} landed, but "
        f"{accepted.get((day, source), 0)} events + {rejected.get((day, source), 0)} rejected"
        for day, source in sorted({*landed, *accepted, *rejected})
        if landed.get((day, source), 0)
        != accepted.get((day, source), 0) + rejected.get((day, source), 0)
    ]
    if broken:
        more = f"; and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise ReconciliationError(f"the warehouse lost or made rows: {broken[0]}{more}")
    total = sum(landed.values())
    return Reconciled(total, sum(accepted.values()), sum(rejected.values()), reasons)


def _landed(settings: Settings, days: list[date]) -> Counts:
    counts: Counts = {}
    with read_with_duckdb() as reader:
        for source in {settings.source, Source.STOREFRONT}:
            folder = settings.lake / source / EVENT_TABLES[source]
            files = _files(folder, days)
            if not files:
                continue
            rows = reader.execute(
                "select cast(event_date as date), count(*) "
                "from read_parquet($1, hive_partitioning = true) group by 1",
                [files],
            ).fetchall()
            counts |= {(day, source.value): count for day, count in rows}
    return counts


def _files(folder: Path, days: list[date]) -> list[str]:
    landed = partition_days(folder)
    return [str(folder / f"event_date={day}" / "part.parquet") for day in days if day in landed]


def _counts(warehouse: Warehouse, table: str, days: list[date]) -> Counts:
    rows = warehouse.rows(
        f"select event_date, source, count(*) from {table} "
        "where event_date = any($1::date[]) group by 1, 2",
        days,
    )
    return {(day, source): count for day, source, count in rows}


def _reasons(warehouse: Warehouse, days: list[date]) -> dict[str, int]:
    return dict(
        warehouse.rows(
            "select reason, count(*) from rejected_events "
            "where event_date = any($1::date[]) group by 1 order by 1",
            days,
        )
    )
