"""Reading the warehouse outside dbt: the same questions of DuckDB and of PostgreSQL.

Queries are written once, in what both understand, with ``$1``, ``$2`` … for what is filled in.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from domain.settings import Settings


class Warehouse(Protocol):
    """What dbt built, to be read."""

    def rows(self, query: str, *filled_in: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""

    def days(
        self, table: str, schema: pa.Schema, *, first: date, last: date, order: str
    ) -> pa.Table:
        """The columns of ``schema`` on the days [first, last], sorted by ``order``.

        Moments come without their zone, which is UTC; cast the table to say so.
        """


def open_warehouse(settings: Settings) -> AbstractContextManager[Warehouse]:
    """The warehouse of the settings, read only, as it is at this moment."""
    if settings.dbt_target == "duckdb":
        return _open_duckdb(settings)
    from warehouse.postgres import open_postgres

    return open_postgres(settings)


@contextmanager
def _open_duckdb(settings: Settings) -> Iterator[Warehouse]:
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield _DuckDB(connection)


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, query: str, *filled_in: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, list(filled_in)).fetchall()

    def days(
        self, table: str, schema: pa.Schema, *, first: date, last: date, order: str
    ) -> pa.Table:
        return self._connection.sql(
            f"select {', '.join(schema.names)} from {table} "
            f"where event_date between $1 and $2 order by {order}",
            params=[first, last],
        ).to_arrow_table()
