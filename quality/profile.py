"""A day reduced to one row of measures, by one pass over the table's Parquet files."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from domain.errors import BadInputError
from quality.expect import ROW_COUNT
from quality.tables import Table


def landed_days(table: Table) -> list[date]:
    """The days that stand in the table's folder, oldest first."""
    folders = table.folder.glob("event_date=*/part.parquet")
    return sorted(
        date.fromisoformat(path.parent.name.removeprefix("event_date=")) for path in folders
    )


def profile(table: Table, days: Sequence[date]) -> pd.DataFrame:
    """The measures of ``days``, one row each, indexed by day, oldest first.

    A day without a file has no rows: its count is 0 and its other measures are unknown.

    Raises:
        BadInputError: If a file cannot be read or lacks a column.
    """
    files = [path for day in days if (path := _file(table, day)).exists()]
    columns = [ROW_COUNT, *table.measures]
    index = pd.Index(list(days), name="event_date")
    if not files:
        return pd.DataFrame({ROW_COUNT: 0.0}, index=index, columns=columns).astype("float64")
    found = _aggregate(table, files)
    return found.reindex(index).fillna({ROW_COUNT: 0.0})


def _aggregate(table: Table, files: list[Path]) -> pd.DataFrame:
    measures = ", ".join(f"CAST({sql} AS DOUBLE) AS {name}" for name, sql in table.measures.items())
    query = (
        f"SELECT event_date, CAST(count(*) AS DOUBLE) AS {ROW_COUNT}, {measures} "
        f"FROM read_parquet(?, hive_partitioning = true, hive_types = {{'event_date': DATE}}) "
        "GROUP BY event_date"
    )
    try:
        with duckdb.connect() as connection:
            rows = connection.execute(query, [[str(path) for path in files]]).fetchall()
    except duckdb.Error as error:
        raise BadInputError(f"{table.name} cannot be read: {str(error).splitlines()[0]}") from error
    columns = ["event_date", ROW_COUNT, *table.measures]
    frame = pd.DataFrame(rows, columns=columns).set_index("event_date").astype("float64")
    return frame.sort_index()


def days_before(day: date, count: int) -> list[date]:
    """The ``count`` days up to and including ``day``."""
    return [day - timedelta(days=back) for back in reversed(range(count))]


def _file(table: Table, day: date) -> Path:
    return table.folder / f"event_date={day}" / "part.parquet"
