"""A row's content as text: the same line gives the same id, in whichever form it came.

The text is made of the *typed* values, so ``6.950`` in a CSV file, ``6.95`` in a workbook and the
double 6.95 in a Parquet file are one content. Columns are joined by U+001F in the schema's order;
null is U+0000, which no landed text contains.
"""

import hashlib

import polars as pl
import pyarrow as pa

_SEPARATOR = "\x1f"
_NULL = "\x00"


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_temporal():
        column = column.to_physical()
    return column.cast(pl.String).fill_null(_NULL)


def text(frame: pl.DataFrame, columns: list[str]) -> pl.Series:
    """One text per row: the content of ``columns``, in that order."""
    parts = [_text(name, frame.schema[name]) for name in columns]
    return frame.select(pl.concat_str(parts, separator=_SEPARATOR).alias("content")).to_series()


def ids(content: pl.Series) -> pl.Series:
    """The first 32 hex digits of each content's sha256."""
    digests = [hashlib.sha256(row.encode()).hexdigest()[:32] for row in content]
    return pl.Series(content.name, digests, dtype=pl.String)


def day_hash(content: pl.Series) -> str:
    """sha256 (hex) of a day's contents; the order of the rows does not matter."""
    return hashlib.sha256("\n".join(sorted(content.to_list())).encode()).hexdigest()


def table_hash(table: pa.Table) -> str:
    """``day_hash`` of a landed day as it stands on disk: all columns, in the file's order."""
    frame = pl.DataFrame(table)
    return day_hash(text(frame, frame.columns))
