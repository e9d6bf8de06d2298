"""Workbooks to raw rows: every sheet's first row names its columns."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from domain.errors import BadInputError

_RECORDS: Final = 50_000


def workbook(path: Path) -> pl.DataFrame:
    """The raw rows of all sheets, with ``_line`` and ``_text``.

    Raises:
        BadInputError: If the file is no workbook, or no sheet has a row.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        sheets = [_sheet(book.get_sheet_by_name(name).iter_rows()) for name in book.sheet_names]
    except (CalamineError, OSError) as error:
        raise BadInputError(f"{path} is no workbook: {error}") from error
    filled = [sheet for sheet in sheets if sheet.height]
    if not filled:
        raise BadInputError(f"{path} is empty: no sheet has a row below its header")
    return pl.concat(filled, how="diagonal")


def _sheet(rows: Iterator[list[object]]) -> pl.DataFrame:
    """One sheet: its first row names the columns. Whole numbers lose the spreadsheet's ``.0``."""
    names = [str(name) for name in next(rows, [])]
    frames, batch, number = [], [], 2
    while True:
        batch = list(islice(rows, _RECORDS))
        if not batch:
            break
        columns = {
            name: pl.Series([_cell(row[i]) for row in batch], dtype=pl.String)
            for i, name in enumerate(names)
        }
        lines = pl.Series(range(number, number + len(batch)), dtype=pl.Int64)
        frames.append(pl.DataFrame({**columns, "_line": lines}))
        number += len(batch)
    if not frames:
        return pl.DataFrame()
    return pl.concat(frames).with_columns(pl.lit(None, dtype=pl.String).alias("_text"))


def _cell(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None or value == "" else str(value)
