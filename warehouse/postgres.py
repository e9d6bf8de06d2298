"""PostgreSQL as the warehouse: how it is reached, and how its rows are read back.

Rows leave it as CSV through COPY, the one way that is fast without a driver of its own for Arrow.
Lists leave as JSON, and single-precision numbers as double ones, so that both come back exactly.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg.conninfo import conninfo_to_dict

from domain.errors import BadInputError
from domain.settings import Settings

SCHEMA: Final = "vitrine"
"""Where dbt builds: the schema of ``dbt/profiles.yml``."""

_WAIT_S: Final = 10
_AS_CSV: Final = pyarrow.csv.ParseOptions(newlines_in_values=True)


class PostgresWarehouse:
    """A ``warehouse.connection.Warehouse`` over one connection and one transaction."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def rows(self, query: str, *filled_in: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.RawCursor(self._connection) as cursor:
            return cursor.execute(query, filled_in or None).fetchall()

    def days(
        self, table: str, schema: pa.Schema, *, first: date, last: date, order: str
    ) -> Iterator[pa.Table]:
        """The columns of ``schema`` on the days [first, last], sorted by ``order``; held whole."""
        columns = ", ".join(_leaving(field) for field in schema)
        content = self._copied(
            f"select {columns} from {table} "
            f"where event_date between date '{first}' and date '{last}' order by {order}"
        )
        if not content.size:
            return
        read = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(column_names=schema.names),
            parse_options=_AS_CSV,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={field.name: _arriving(field.type) for field in schema},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        yield _with_lists(read, schema)

    def _copied(self, query: str) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"copy ({query}) to stdout (format csv)") as rows,
        ):
            for part in rows:
                sink.write(part)
        return sink.getvalue()


@contextmanager
def open_postgres(settings: Settings) -> Iterator[PostgresWarehouse]:
    """The warehouse, read only, all queries about one moment."""
    with connect(settings) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield PostgresWarehouse(connection)


@contextmanager
def connect(settings: Settings) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection and its transaction: kept if the block ends well, else undone.

    Raises:
        BadInputError: If the server cannot be reached.
    """
    try:
        connection = psycopg.connect(
            settings.warehouse,
            connect_timeout=_WAIT_S,
            options=f"-c search_path={SCHEMA} -c timezone=UTC",
        )
    except psycopg.OperationalError as error:
        raise BadInputError(f"the warehouse cannot be reached: {error}") from error
    with connection:
        yield connection


def dbt_connection(settings: Settings) -> dict[str, str]:
    """What ``dbt/profiles.yml`` is told about the server; dbt keeps the last out of its logs."""
    told = conninfo_to_dict(settings.warehouse)
    return {
        "VITRINE_DBT_HOST": str(told.get("host", "127.0.0.1")),
        "VITRINE_DBT_PORT": str(told.get("port", 5432)),
        "VITRINE_DBT_USER": str(told.get("user") or getpass.getuser()),
        "VITRINE_DBT_DATABASE": str(told.get("dbname", "vitrine")),
        "VITRINE_DBT_SSLMODE": str(told.get("sslmode", "prefer")),
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": str(told.get("password", "")),
    }


def _leaving(field: pa.Field) -> str:
    if not pa.types.is_list(field.type):
        return str(field.name)
    exact = "::double precision[]" if pa.types.is_floating(field.type.value_type) else ""
    return f"to_json({field.name}{exact}) as {field.name}"


def _arriving(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.string()
    # A moment leaves without its zone, which is UTC.
    return pa.timestamp(kind.unit) if pa.types.is_timestamp(kind) else kind


def _with_lists(read: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with their JSON read as lists; their order is kept."""
    lists = {field.name: field.type for field in schema if pa.types.is_list(field.type)}
    if not lists:
        return read
    with duckdb.connect() as reader:
        for name, kind in lists.items():
            word = "double" if pa.types.is_floating(kind.value_type) else "varchar"
            column = reader.from_arrow(pa.table({"list": read[name]})).project(
                f"cast(cast(list as json) as {word}[]) as list"
            )
            at = read.column_names.index(name)
            read = read.set_column(at, name, column.to_arrow_table()["list"].cast(kind))
    return read
