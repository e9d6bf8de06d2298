"""What every connector of files does first: raw rows that know how their file writes dates."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from ingest import casting, readers


def raw_rows(
    file: Path,
    schema: pa.Schema,
    *,
    rename: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> Iterator[pl.DataFrame]:
    """The batches of a file, with ``_is_day_first``, which all of its rows decide together.

    Raises:
        BadInputError: If the file is not of the kind its name says, or is cut.
    """
    frames, moments = readers.batches(file), casting.moments(schema)
    is_day_first = readers.may_hold_slashes(file, moments) and casting.is_day_first(
        map(rename, frames), moments
    )
    for rows in map(rename, frames):
        yield rows.with_columns(_is_day_first=pl.lit(is_day_first))
