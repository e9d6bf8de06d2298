"""Snapshots that changed after the fact: they change what other days' events may name.

An event whose item stands in no snapshot up to its day is refused (``unknown_item``). When
a past snapshot is landed again with other items, the later days must be judged again.
"""

from collections.abc import Iterable
from datetime import date

import duckdb

from domain.settings import Settings
from warehouse.lake import partition_days

_BUILT = "int_item_days"


def days_to_judge_again(settings: Settings, *, days: Iterable[date], built: set[date]) -> set[date]:
    """The built days after the first of ``days`` whose item snapshot is not the one that was built.

    Empty for the newest day, which is the rule: nothing comes after it.
    """
    stated = partition_days(settings.lake / settings.source / "items")
    past = sorted(day for day in set(days) & stated if built and day < max(built))
    if not past:
        return set()
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as warehouse:
        for day in past:
            if _has_other_items(warehouse, settings, day):
                return {later for later in built if later > day}
    return set()


def _has_other_items(warehouse: duckdb.DuckDBPyConnection, settings: Settings, day: date) -> bool:
    landed = settings.lake / settings.source / "items" / f"event_date={day}" / "part.parquet"
    known = f"select item_id from {_BUILT} where event_date = $2"
    now = "select item_id from read_parquet($1, hive_partitioning = false)"
    rows = warehouse.execute(
        f"select count(*) from (({now} except {known}) union all ({known} except {now}))",
        [str(landed), day],
    ).fetchall()
    return bool(rows[0][0])
