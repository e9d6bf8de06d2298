"""Files to raw rows: CSV, JSON lines, JSON, Parquet and workbooks.

Everything but Parquet comes as text and is typed later, so that one bad value costs one row, not
the file. What cannot even be split into columns stays as ``_text``. A file that is not what its
name says is a ``BadInputError``: none of its rows can be trusted.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from domain.errors import BadInputError
from ingest.parquet import read_parquet

SUFFIXES: Final = (".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")
_CHUNK: Final = 1 << 24
_BLOCK_LIMIT: Final = 1 << 30
_RECORDS: Final = 50_000


def read(path: Path) -> pl.DataFrame:
    """The raw rows of one file, with ``_line`` and ``_text``; the columns are the file's own.

    Raises:
        BadInputError: If the file is missing, empty, or not of the kind its name says.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty: expected at least a header or a row")
    readers = {
        ".csv": _csv,
        ".jsonl": json_lines,
        ".ndjson": json_lines,
        ".json": _json,
        ".parquet": read_parquet,
        ".xlsx": _workbook,
    }
    if path.suffix.lower() not in readers:
        raise BadInputError(f"{path}: expected one of {', '.join(SUFFIXES)}")
    rows = readers[path.suffix.lower()](path)
    _require_whole(path, rows)
    return rows


def _require_whole(path: Path, rows: pl.DataFrame) -> None:
    """Refuse a text file that ends within a record: what came after it is missing as well.

    A log that somebody is writing ends so too; it is read by ``json_lines`` alone.
    """
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson") or rows.is_empty():
        return
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        if file.read(1) in b"\r\n":
            return
    last, unread = rows.sort("_line").select("_line", "_text").row(-1)
    # A whole last line without its line end is what many programs write.
    if unread is not None and (path.suffix.lower() == ".csv" or unread.startswith("{")):
        raise BadInputError(
            f"{path} is cut: it ends in the middle of record {last}: '{unread[:80]}'; get it again"
        )


def _csv(path: Path) -> pl.DataFrame:
    encoding = _encoding(path)
    names, delimiter = _header(path, encoding)
    refused: list[tuple[int, str]] = []

    def refuse(row: pc.InvalidRow) -> str:
        refused.append((row.number, row.text))
        return "skip"

    try:
        table = pc.read_csv(
            path,
            # One thread and one block: only then do refused rows know their number.
            pc.ReadOptions(
                use_threads=False,
                encoding=encoding,
                block_size=min(max(path.stat().st_size * 2, _CHUNK), _BLOCK_LIMIT),
            ),
            pc.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        raise BadInputError(f"{path} is no CSV file: {error}") from error
    return _numbered(pl.from_arrow(table), refused)


def _numbered(rows: pl.DataFrame, refused: list[tuple[int, str]]) -> pl.DataFrame:
    """Give fit records the numbers that the refused ones left; the header is number 1."""
    taken = {number for number, _ in refused}
    total = rows.height + len(refused)
    free = [number for number in range(2, total + 2) if number not in taken]
    rows = rows.with_columns(
        pl.Series("_line", free, dtype=pl.Int64), pl.lit(None, dtype=pl.String).alias("_text")
    )
    bad = pl.DataFrame(refused, schema={"_line": pl.Int64, "_text": pl.String}, orient="row")
    return pl.concat([rows, bad], how="diagonal")


def _header(path: Path, encoding: str) -> tuple[list[str], str]:
    """The column names and the delimiter: whichever of the usual ones the header has most."""
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        first, more = file.readline(1 << 16), file.read(1024)
    delimiter = max(",;\t|", key=first.count)
    is_binary = "\x00" in first or (delimiter not in first and "\x00" in more)
    if is_binary or not first.strip():
        raise BadInputError(f"{path} is no CSV file: its first line is no header")
    names = next(csv.reader(io.StringIO(first), delimiter=delimiter))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(f"{path}: column {', '.join(map(repr, twice))} stands there twice")
    return names, delimiter


def _encoding(path: Path) -> str:
    """utf-8, or what spreadsheets on Windows write."""
    for encoding in ("utf-8", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        with path.open("rb") as file:
            try:
                while chunk := file.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                continue
        return encoding
    return "latin-1"


def json_lines(path: Path) -> pl.DataFrame:
    """One JSON object a line; a line that is none (or cut short) becomes ``_text``."""
    with path.open("rb") as file:
        return _frame(_objects(file))


def _objects(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, object] | str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            line.decode().encode("utf-8")
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            value = None
        readable = isinstance(value, dict)
        yield number, value if readable else line.decode("utf-8", "backslashreplace").strip()


def _json(path: Path) -> pl.DataFrame:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(rows, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is no JSON file: {error}") from error
    if not isinstance(rows, list):
        raise BadInputError(f"{path}: expected a JSON array of objects, got {type(rows).__name__}")
    return _frame(
        (number, row if isinstance(row, dict) else json.dumps(row))
        for number, row in enumerate(rows, start=1)
    )


def _frame(records: Iterable[tuple[int, dict[str, object] | str]]) -> pl.DataFrame:
    """Records to columns of text; a key that only some records have is null in the others."""
    frames: list[pl.DataFrame] = []
    batch: list[tuple[int, dict[str, object] | str]] = []
    for record in records:
        batch.append(record)
        if len(batch) == _RECORDS:
            frames.append(_columns(batch))
            batch = []
    frames.append(_columns(batch))
    return pl.concat(frames, how="diagonal")


def _columns(batch: list[tuple[int, dict[str, object] | str]]) -> pl.DataFrame:
    names = dict.fromkeys(name for _, row in batch if isinstance(row, dict) for name in row)
    columns: dict[str, list[str | None]] = {
        name: [_as_text(row.get(name)) if isinstance(row, dict) else None for _, row in batch]
        for name in names
        if name not in ("_line", "_text")
    }
    own = {
        "_line": pl.Series([number for number, _ in batch], dtype=pl.Int64),
        "_text": pl.Series(
            [row if isinstance(row, str) else None for _, row in batch], dtype=pl.String
        ),
    }
    return pl.DataFrame({**columns, **own}, schema_overrides=dict.fromkeys(columns, pl.String()))


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _workbook(path: Path) -> pl.DataFrame:
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
