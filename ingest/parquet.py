"""Parquet to raw rows: typed already, but with types and values that other tools write."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import selectors

from domain.errors import BadInputError

_DAYS: tuple[int, int] = (-719_162, 2_932_896)
"""0001-01-01 and 9999-12-31 as days since 1970."""

_UNITS_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
"""64 bits of nanoseconds end in 2262: no column of them leaves the calendar."""


def parquet_types(path: Path) -> dict[str, pa.DataType]:
    """Each column's type.

    Raises:
        BadInputError: If the file is no Parquet file, or cut short.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path} is no Parquet file: {error}") from error
    return dict(zip(schema.names, schema.types, strict=True))


def parquet_batches(path: Path, size: int) -> Iterator[pl.DataFrame]:
    """The raw rows of one Parquet file, with ``_line`` and ``_text``, at most ``size`` a frame.

    Raises:
        BadInputError: If the file is no Parquet file, or cut short.
    """
    line = 1
    try:
        with pq.ParquetFile(path) as file:
            yield _raw(pl.from_arrow(file.schema_arrow.empty_table()), line)
            for batch in file.iter_batches(size):
                yield _raw(pl.from_arrow(batch), line)
                line += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path} is no Parquet file: {error}") from error


def _raw(rows: pl.DataFrame, line: int) -> pl.DataFrame:
    # What other tools write for a column of few different texts.
    rows = rows.with_columns(selectors.by_dtype(pl.Categorical, pl.Enum).cast(pl.String))
    rows = rows.with_columns(_readable(column) for column in rows if column.dtype.is_temporal())
    return rows.with_row_index("_line", offset=line).with_columns(
        pl.col("_line").cast(pl.Int64), pl.lit(None, dtype=pl.String).alias("_text")
    )


def _readable(column: pl.Series) -> pl.Series:
    """A column of moments as it is; as text, if one of them is beyond the calendar.

    polars panics where such a value is shown or cast; as the text of its number it is a value that
    cannot be parsed, and its row is set aside like any other.
    """
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else None
    if unit == "ns" or not isinstance(column.dtype, pl.Date | pl.Datetime):
        return column
    per_day = _UNITS_PER_DAY[unit] if unit else 1
    number = column.to_physical()
    is_inside = number.is_between(_DAYS[0] * per_day, (_DAYS[1] + 1) * per_day, closed="left")
    if is_inside.fill_null(True).all():
        return column
    inside = column.to_frame().select(pl.when(is_inside).then(pl.col(column.name))).to_series()
    return inside.dt.to_string("iso:strict").zip_with(
        is_inside.fill_null(True), number.cast(pl.String)
    )
