"""Snapshots that changed after the fact: they change what other days' events may name.

An event whose item stands in no snapshot up to its day is refused (``unknown_item``). When
a past snapshot is landed again with other items, the later days must be judged again.
"""

from collections.abc import Iterable
from datetime import date

import pyarrow.parquet as pq

from domain.settings import Settings
from warehouse.connection import Warehouse, open_warehouse
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
    with open_warehouse(settings) as warehouse:
        for day in past:
            if _stated(settings, day) != _built(warehouse, day):
                return {later for later in built if later > day}
    return set()


def _stated(settings: Settings, day: date) -> set[str]:
    path = settings.lake / settings.source / "items" / f"event_date={day}" / "part.parquet"
    return set(pq.read_table(path, columns=["item_id"], partitioning=None)["item_id"].to_pylist())


def _built(warehouse: Warehouse, day: date) -> set[str]:
    held = warehouse.rows(f"select item_id from {_BUILT} where event_date = $1::date", day)
    return {item_id for (item_id,) in held}
