"""Before publishing: the very rows that landed are in events or in rejected_events (laws L1, L2).

Counts alone agree when one row is lost and another one is there twice. So the ids are hashed, and
the hashes added up: a sum does not know an order, and that of the whole is that of its parts.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from domain import dirty
from domain.errors import ReconciliationError
from domain.events import Source
from domain.settings import Settings
from warehouse.connection import open_warehouse, read_with_duckdb
from warehouse.lake import partition_days
from warehouse.reconcile import EVENT_TABLES

ID_COLUMNS = {"events": "event_id", "transactions": "line_id"}
_SUM = "sum(hash({})::hugeint)"
_IDS = (
    "(select event_date, source, event_id as id from events union all "
    "select event_date, source, source_id from rejected_events)"
)
Sums = dict[tuple[date, str], int]


def require_same_rows(settings: Settings, days: Iterable[date]) -> None:
    """Compare the ids of some days, landed and built.

    Raises:
        ReconciliationError: Naming the first day and source that differ.
    """
    wanted = sorted(set(days))
    landed: Sums = {}
    for source in (settings.source, Source.STOREFRONT):
        landed |= _landed(settings.lake, source, wanted)
    built = _built(settings, wanted)
    broken = sorted(key for key in {*landed, *built} if landed.get(key) != built.get(key))
    if broken:
        day, source_name = broken[0]
        more = f"; and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise ReconciliationError(
            f"{day} {source_name}: as many rows in the warehouse as were landed, but not the same "
            f"ones{more}: run vitrine build --all"
        )


def require_whole_lake(settings: Settings, marks: dirty.Marks) -> None:
    """Refuse days of which the lake does not hold as many rows as its ledger says.

    An ingest was killed between a day's file and the ledger, and has not run again. Days that were
    marked again since the plan was made are left out: they are landed right now, and built next.

    Raises:
        ReconciliationError: Naming the first such day.
    """
    before = {day for day, held in marks.items() if dirty.is_unchanged(settings.lake, day, held)}
    for source in (settings.source, Source.STOREFRONT):
        said = _ledger(settings.lake, source)
        held = _rows(settings.lake, source, sorted(before & said.keys()))
        for day in sorted(before & said.keys()):
            if said[day] != held.get(day, 0):
                raise ReconciliationError(
                    f"{day} {source}: the ledger says {said[day]} rows were landed, the lake holds "
                    f"{held.get(day, 0)}: an ingest did not end, run vitrine ingest again"
                )


def _ledger(lake: Path, source: Source) -> dict[date, int]:
    path = lake / "ledger" / source / f"{EVENT_TABLES[source]}.parquet"
    if not path.exists():
        return {}
    rows = pq.ParquetFile(path).read(["event_date", "rows_landed"]).to_pylist()
    return {row["event_date"]: row["rows_landed"] for row in rows}


def _rows(lake: Path, source: Source, days: list[date]) -> dict[date, int]:
    folder = lake / source / EVENT_TABLES[source]
    files = {day: folder / f"event_date={day}" / "part.parquet" for day in days}
    return {day: pq.read_metadata(f).num_rows for day, f in files.items() if f.exists()}


def _landed(lake: Path, source: Source, days: list[date]) -> Sums:
    table = EVENT_TABLES[source]
    folder = lake / source / table
    held = partition_days(folder)
    files = [str(folder / f"event_date={day}" / "part.parquet") for day in days if day in held]
    if not files:
        return {}
    with read_with_duckdb() as reader:
        rows = reader.execute(
            f"select cast(event_date as date), {_SUM.format(ID_COLUMNS[table])} "
            "from read_parquet($1, hive_partitioning = true) group by 1",
            [files],
        ).fetchall()
    return {(day, source.value): total for day, total in rows}


def _built(settings: Settings, days: list[date]) -> Sums:
    if settings.dbt_target == "duckdb":
        with read_with_duckdb(settings.warehouse_file) as warehouse:
            return _hashed(warehouse, _IDS, days)
    # A server hashes in its own way: its ids come here to be hashed as the lake's are.
    parts: list[pa.Table] = []
    with open_warehouse(settings) as server, read_with_duckdb() as reader:
        for table, name in (("events", "event_id"), ("rejected_events", "source_id")):
            columns = {"event_date": pa.date32(), "source": pa.string(), name: pa.string()}
            schema = pa.schema(list(columns.items()))
            rows = server.days(table, schema, first=days[0], last=days[-1], order="event_date")
            parts += [part.rename_columns(["event_date", "source", "id"]) for part in rows]
        named = pa.schema({"event_date": pa.date32(), "source": pa.string(), "id": pa.string()})
        reader.register("built", pa.concat_tables([named.empty_table(), *parts]))
        return _hashed(reader, "built", days)


def _hashed(connection: duckdb.DuckDBPyConnection, rows: str, days: list[date]) -> Sums:
    sums = connection.execute(
        f"select event_date, source, {_SUM.format('id')} from {rows} "
        "where list_contains($1::date[], event_date) group by all",
        [days],
    ).fetchall()
    return {(day, source): total for day, source, total in sums}
