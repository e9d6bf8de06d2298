"""Reading the warehouse outside dbt: the same questions of DuckDB and of PostgreSQL.

Queries are written once, in what both understand, with ``$1``, ``$2`` … for what is filled in.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import duckdb
import pyarrow as pa

from domain.settings import Settings

MEMORY: Final = "1500MB"
"""What DuckDB may hold of a day that is larger; the rest waits on the disk."""

_ROWS_AT_ONCE: Final = 100_000


class Warehouse(Protocol):
    """What dbt built, to be read."""

    def rows(self, query: str, *filled_in: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""

    def days(
        self, table: str, schema: pa.Schema, *, first: date, last: date, order: str
    ) -> Iterator[pa.Table]:
        """The columns of ``schema`` on the days [first, last], sorted by ``order``, in parts.

        Moments come without their zone, which is UTC; cast the parts to say so.
        """


def open_warehouse(settings: Settings) -> AbstractContextManager[Warehouse]:
    """The warehouse of the settings, read only, as it is at this moment."""
    if settings.dbt_target == "duckdb":
        return _open_duckdb(settings)
    from warehouse.postgres import open_postgres

    return open_postgres(settings)


@contextmanager
def _open_duckdb(settings: Settings) -> Iterator[Warehouse]:
    with read_with_duckdb(settings.warehouse_file) as connection:
        yield _DuckDB(connection)


@contextmanager
def read_with_duckdb(database: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in bounded memory, over a database that is only read, or over files alone."""
    aside = Path(tempfile.gettempdir()) / f"vitrine-sorting-{uuid4().hex}"
    config = {"memory_limit": MEMORY, "threads": 2, "temp_directory": str(aside)}
    name = str(database or ":memory:")
    with duckdb.connect(name, read_only=database is not None, config=config) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, query: str, *filled_in: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, list(filled_in)).fetchall()

    def days(
        self, table: str, schema: pa.Schema, *, first: date, last: date, order: str
    ) -> Iterator[pa.Table]:
        batches = self._connection.sql(
            f"select {', '.join(schema.names)} from {table} "
            f"where event_date between $1 and $2 order by {order}",
            params=[first, last],
        ).to_arrow_reader(_ROWS_AT_ONCE)
        return (pa.Table.from_batches([batch]) for batch in batches)
