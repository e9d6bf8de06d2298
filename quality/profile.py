"""A day reduced to one row of measures, by one pass over the table's Parquet files."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from domain.errors import BadInputError
from quality.expect import ROW_COUNT
from quality.tables import Table

# What stands beside may have no file at all: its column is there nevertheless.
_REASON: Final = " UNION ALL BY NAME (SELECT CAST(NULL AS VARCHAR) AS reason WHERE false)"


def landed_days(table: Table) -> list[date]:
    """The days that stand in the table's folder, oldest first."""
    files = [file for root in table.folders for file in root.glob("event_date=*/part.parquet")]
    return sorted(
        {date.fromisoformat(file.parent.name.removeprefix("event_date=")) for file in files}
    )


def profile(table: Table, days: Sequence[date]) -> pd.DataFrame:
    """The measures of ``days``, one row each, indexed by day, oldest first.

    A day without a file has no rows: its count is 0 and its other measures are unknown.

    Raises:
        BadInputError: If a file cannot be read or lacks a column.
    """
    files = [path for day in days for path in _files(table, day)]
    columns = [ROW_COUNT, *table.measures]
    index = pd.Index(list(days), name="event_date")
    if not files:
        return pd.DataFrame({ROW_COUNT: 0.0}, index=index, columns=columns).astype("float64")
    found = _aggregate(table, files)
    return found.reindex(index).fillna({ROW_COUNT: 0.0})


def row_counts(table: Table, days: Sequence[date]) -> pd.Series:
    """How many rows each of ``days`` has, from the files' footers alone; 0 without a file.

    Raises:
        BadInputError: If a file is no Parquet file.
    """
    counts = [sum(_row_count(table, path) for path in _files(table, day)) for day in days]
    return pd.Series(counts, pd.Index(list(days), name="event_date"), dtype="float64")


def _row_count(table: Table, path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise BadInputError(f"{table.name} cannot be read: {path}: {error}") from error


def _aggregate(table: Table, files: list[Path]) -> pd.DataFrame:
    measures = ", ".join(f"CAST({sql} AS DOUBLE) AS {name}" for name, sql in table.measures.items())
    query = (
        "WITH days AS (SELECT * FROM "
        "read_parquet(?, hive_partitioning = true, hive_types = {'event_date': DATE}, "
        f"union_by_name = {str(bool(table.beside)).lower()}){_REASON if table.beside else ''}), "
        f"{_with_the_day_before(table.compared)} "
        f"SELECT event_date, CAST(count(*) AS DOUBLE) AS {ROW_COUNT}, {measures} "
        "FROM judged GROUP BY event_date"
    )
    try:
        with duckdb.connect() as connection:
            rows = connection.execute(query, [[str(path) for path in files]]).fetchall()
    except duckdb.Error as error:
        raise BadInputError(f"{table.name} cannot be read: {str(error).splitlines()[0]}") from error
    columns = ["event_date", ROW_COUNT, *table.measures]
    frame = pd.DataFrame(rows, columns=columns).set_index("event_date").astype("float64")
    return frame.sort_index()


def _with_the_day_before(columns: Sequence[str]) -> str:
    """``judged``: the rows, each knowing of these columns whether their value is new.

    ``is_new_<column>``: it stands nowhere in the table's day before. Null on the first day, and
    where the value is null.
    """
    seen = "".join(
        f"seen_{name} AS (SELECT DISTINCT days_before.event_date, {name} AS value "
        f"FROM days JOIN days_before ON days.event_date = days_before.before), "
        for name in columns
    )
    flags = "".join(
        f", CASE WHEN days_before.before IS NOT NULL AND days.{name} IS NOT NULL "
        f"THEN seen_{name}.value IS NULL END AS is_new_{name}"
        for name in columns
    )
    joins = " ".join(
        f"LEFT JOIN seen_{name} ON seen_{name}.event_date = days.event_date "
        f"AND seen_{name}.value = days.{name}"
        for name in columns
    )
    return (
        "days_before AS (SELECT event_date, lag(event_date) OVER (ORDER BY event_date) AS before "
        f"FROM (SELECT DISTINCT event_date FROM days)), {seen}"
        f"judged AS (SELECT days.*{flags} FROM days "
        f"JOIN days_before ON days_before.event_date = days.event_date {joins})"
    )


def days_before(day: date, count: int) -> list[date]:
    """The ``count`` days up to and including ``day``."""
    return [day - timedelta(days=back) for back in reversed(range(count))]


def _files(table: Table, day: date) -> list[Path]:
    """The day's files that are there."""
    files = (root / f"event_date={day}" / "part.parquet" for root in table.folders)
    return [file for file in files if file.exists()]
