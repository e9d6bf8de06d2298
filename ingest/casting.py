"""From what a source wrote to what the schema says: text to numbers, moments and days.

A value that cannot be typed becomes null here; ``ingest.rules`` sees that something was there and
names the row's reason. Naive moments are UTC. Slashed dates are month first (UCI's exports), unless
day first reads more of the file's rows (``is_day_first``).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import polars as pl
import pyarrow as pa

from domain.errors import BadInputError
from ingest.composed import composed, is_id

_KINDS: Final = {
    pa.string(): pl.String(),
    pa.int32(): pl.Int32(),
    pa.int64(): pl.Int64(),
    pa.float64(): pl.Float64(),
    pa.date32(): pl.Date(),
    pa.timestamp("us", tz="UTC"): pl.Datetime("us", "UTC"),
}
_ZONED: Final = "%Y-%m-%d %H:%M:%S%.f%#z"
_NAIVE: Final = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_MONTH_FIRST: Final = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y")
_DAY_FIRST: Final = ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y")
_NO_VALUES: Final = (pl.Binary, pl.Duration, pl.Object)
_EXACT_IN_FLOAT: Final = 2**53
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def kind_of(field: pa.Field) -> pl.DataType:
    """The polars type of a landed column."""
    return _KINDS[field.type]


def moments(schema: pa.Schema) -> list[str]:
    """The columns that hold moments or days."""
    return [field.name for field in schema if kind_of(field).is_temporal()]


def is_day_first(frames: Iterable[pl.DataFrame], columns: list[str]) -> bool:
    """Whether more slashed dates of a file can be read day first than month first."""
    lead = 0
    for frame in frames:
        texts = [n for n in columns if n in frame.columns and frame.schema[n] == pl.String]
        for name in texts:
            text = pl.col(name).str.strip_chars()
            read = [_slashed(text, forms).count() for forms in (_DAY_FIRST, _MONTH_FIRST)]
            lead += frame.select(read[0].cast(pl.Int64) - read[1].cast(pl.Int64)).item()
    return lead > 0


def typed(raw: pl.DataFrame, schema: pa.Schema) -> pl.DataFrame:
    """The schema's columns of ``raw`` in the schema's types; untypable values are null.

    Raises:
        BadInputError: If a column holds lists, structs or bytes: no row of it can be read.
    """
    return raw.select(_typed(raw, field).alias(field.name) for field in schema)


def _typed(raw: pl.DataFrame, field: pa.Field) -> pl.Expr:
    held, wanted, column = raw.schema[field.name], kind_of(field), pl.col(field.name)
    if held.is_nested() or held in _NO_VALUES:
        raise BadInputError(f"column '{field.name}' holds {held}, expected text, numbers or dates")
    if wanted == pl.String:
        text = _to_text(column, held)
        return text if is_id(field.name) else text.map_batches(composed, return_dtype=pl.String)
    if wanted.is_numeric() and held.is_temporal():
        return pl.lit(None, dtype=wanted)
    if wanted.is_integer():
        return _to_integer(column, held).cast(wanted, strict=False)
    if wanted.is_float():
        number = column.str.strip_chars() if held == pl.String else column
        number = number.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    if held == pl.String:
        moment = _parse_moment(raw.get_column(field.name))
    else:
        moment = _to_moment(column, held)
    # Parquet and polars know year 0 and year 262143; Python, and so everything after, does not.
    moment = pl.when(moment.is_between(_FIRST, _LAST)).then(moment)
    return moment.dt.date() if wanted == pl.Date else moment


def _to_text(column: pl.Expr, held: pl.DataType) -> pl.Expr:
    """Blank text is null; a float that is whole (17850.0, a spreadsheet's id) loses its point."""
    if held.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return (
            pl.when(whole == column)
            .then(whole.cast(pl.String))
            .otherwise(pl.when(column.is_finite()).then(column.cast(pl.String)))
        )
    text = column.cast(pl.String, strict=False)
    return pl.when(text.str.strip_chars() != "").then(text)


def _to_integer(column: pl.Expr, held: pl.DataType) -> pl.Expr:
    if held == pl.String:
        text = column.str.strip_chars()
        return pl.coalesce(text.cast(pl.Int64, strict=False), _whole(text))
    return column.cast(pl.Int64, strict=False) if held.is_integer() else _whole(column)


def _whole(column: pl.Expr) -> pl.Expr:
    """Floats that are whole numbers, as integers; anything else null."""
    number = column.cast(pl.Float64, strict=False)
    fits = number.is_finite() & (number.abs() < _EXACT_IN_FLOAT) & (number == number.floor())
    return pl.when(fits).then(number).cast(pl.Int64, strict=False)


def _to_moment(column: pl.Expr, held: pl.DataType) -> pl.Expr:
    if isinstance(held, pl.Datetime):
        moment = column.cast(pl.Datetime("us", held.time_zone))
        zoned = moment.dt.convert_time_zone if held.time_zone else moment.dt.replace_time_zone
        return zoned("UTC")
    if held == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.lit(None, dtype=pl.Datetime("us", "UTC"))


def _parse_moment(column: pl.Series) -> pl.Expr:
    text = (
        pl.col(column.name)
        .str.strip_chars()
        .str.replace(r"[zZ]$", "+00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})[Tt]", "${1} ")
    )
    iso = [_parsed(text, _ZONED, zoned=True), *(_parsed(text, form) for form in _NAIVE)]
    if not column.str.contains("/", literal=True).any():
        return pl.coalesce(iso)
    month_first, day_first = (_slashed(text, forms) for forms in (_MONTH_FIRST, _DAY_FIRST))
    return pl.coalesce(
        *iso, pl.when(pl.col("_is_day_first")).then(day_first).otherwise(month_first)
    )


def _slashed(text: pl.Expr, forms: tuple[str, ...]) -> pl.Expr:
    return pl.coalesce(_parsed(text, form) for form in forms)


def _parsed(text: pl.Expr, form: str, *, zoned: bool = False) -> pl.Expr:
    if zoned:
        return text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
    return text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
