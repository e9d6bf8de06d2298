"""Copies the landed rows of a plan into PostgreSQL, where dbt cannot read the lake itself.

The tables of ``vitrine_landed`` hold the planned days and nothing else, and the plan beside them:
all of it changes in one transaction, so that dbt sees a plan with its rows or the one before. Texts
compare by their bytes (collation "C"), as in DuckDB and Arrow, whatever the server's language is.
"""

import logging
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from domain.events import Source
from domain.schemas import LANDED, TIMESTAMP
from domain.settings import Settings
from warehouse.lake import partition_days
from warehouse.plan import Plan
from warehouse.postgres import connect

logger = logging.getLogger(__name__)

SCHEMA: Final = "vitrine_landed"

_TYPES: Final = {
    pa.string(): 'text collate "C"',
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.date32(): "date",
    TIMESTAMP: "timestamptz",
}
_WITHOUT_HEADER: Final = pyarrow.csv.WriteOptions(include_header=False)

Connection = psycopg.Connection[tuple[Any, ...]]


def load(settings: Settings, plan: Plan) -> int:
    """Replace what is landed in PostgreSQL by the plan and its days; returns the rows copied."""
    rows = 0
    with connect(settings) as connection:
        connection.execute(f"create schema if not exists {SCHEMA}")
        for source, tables in LANDED.items():
            is_read = source in {settings.source, Source.STOREFRONT}
            for table, schema in tables.items():
                name = f"{SCHEMA}.{source}_{table}"
                _empty(connection, name, schema)
                if is_read:
                    folder = settings.lake / source / table
                    rows += _copy(connection, name, _files(folder, plan.days))
                connection.execute(f"analyze {name}")
        _write_plan(connection, plan)
    logger.info("copied %d landed rows of %d days into PostgreSQL", rows, len(plan.days))
    return rows


def _empty(connection: Connection, name: str, schema: pa.Schema) -> None:
    """Leave the table there, with these columns and no rows.

    A table of other columns (an older version's) goes, and the views on it: dbt makes them anew.
    """
    wanted = [*schema.names, "event_date"]
    held = connection.execute(
        "select array_agg(attname::text order by attnum) from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        (name,),
    ).fetchall()[0][0]
    if held == wanted:
        connection.execute(f"truncate {name}")
        return
    columns = ", ".join(f"{field.name} {_TYPES[field.type]}" for field in schema)
    connection.execute(f"drop table if exists {name} cascade")
    connection.execute(f"create table {name} ({columns}, event_date date not null)")


def _files(folder: Path, days: tuple[date, ...]) -> dict[date, Path]:
    landed = partition_days(folder)
    return {day: folder / f"event_date={day}" / "part.parquet" for day in days if day in landed}


def _copy(connection: Connection, name: str, files: dict[date, Path]) -> int:
    """One COPY for all files, batch by batch: memory does not grow with the number of days."""
    rows = 0
    with connection.cursor() as cursor, cursor.copy(f"copy {name} from stdin (format csv)") as copy:
        for day, path in files.items():
            for batch in pq.ParquetFile(path).iter_batches():
                dates = pa.repeat(pa.scalar(day, pa.date32()), batch.num_rows)
                text = pa.BufferOutputStream()
                pyarrow.csv.write_csv(
                    batch.append_column("event_date", dates), text, _WITHOUT_HEADER
                )
                copy.write(text.getvalue().to_pybytes())
                rows += batch.num_rows
    return rows


def _write_plan(connection: Connection, plan: Plan) -> None:
    connection.execute(f"drop table if exists {SCHEMA}.build_plan")
    connection.execute(
        f"create table {SCHEMA}.build_plan "
        "(days text, feature_from text, feature_until text, plan_id text)"
    )
    days = ",".join(map(str, plan.days))
    connection.execute(
        f"insert into {SCHEMA}.build_plan values (%s, %s, %s, %s)",
        (days, str(plan.feature_from), str(plan.feature_until), plan.plan_id),
    )
