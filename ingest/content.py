"""A row's content as text: the same line gives the same id, in whichever form it came.

The text is made of the *typed* values, so ``6.950`` in a CSV file, ``6.95`` in a workbook and the
double 6.95 in a Parquet file are one content. Columns are joined by U+001F in the schema's order;
null is U+0000, which no landed text contains.
"""

import hashlib
from typing import Final

import polars as pl
import pyarrow as pa

SEPARATOR: Final = "\x1f"
_NULL: Final = "\x00"


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_temporal():
        column = column.to_physical()
    return column.cast(pl.String).fill_null(_NULL)


def text(frame: pl.DataFrame, columns: list[str]) -> pl.Series:
    """One text per row: the content of ``columns``, in that order."""
    parts = [_text(name, frame.schema[name]) for name in columns]
    return frame.select(pl.concat_str(parts, separator=SEPARATOR).alias("content")).to_series()


def ids(content: pl.Series) -> pl.Series:
    """The first 32 hex digits of each content's sha256."""
    digests = [hashlib.sha256(row.encode()).hexdigest()[:32] for row in content]
    return pl.Series(content.name, digests, dtype=pl.String)


class DayHash:
    """sha256 of a day's contents, told in their order, some at a time."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._between = b""

    def update(self, content: pl.Series) -> None:
        """Go on with contents that are sorted and come after those before."""
        if len(content):
            self._sum.update(self._between + content.str.join("\n").item().encode())
            self._between = b"\n"

    def hexdigest(self) -> str:
        """Of all contents so far."""
        return self._sum.hexdigest()


def day_hash(content: pl.Series) -> str:
    """sha256 (hex) of a day's contents; the order of the rows does not matter."""
    whole = DayHash()
    whole.update(content.sort())
    return whole.hexdigest()


def table_hash(table: pa.Table) -> str:
    """``day_hash`` of a landed day as it stands on disk: all columns, in the file's order."""
    frame = pl.DataFrame(table)
    return day_hash(text(frame, frame.columns))
