"""Files to raw rows: CSV, JSON lines, JSON, Parquet and workbooks, a batch at a time.

Everything but Parquet comes as text and is typed later, so that one bad value costs one row, not
the file. What cannot even be split into columns stays as ``_text``. A file that is not what its
name says is a ``BadInputError``: none of its rows can be trusted.

JSON and workbooks are held whole, as their form asks for; of the others no more than a batch.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from domain.errors import BadInputError
from ingest.parquet import parquet_batches, parquet_types
from ingest.workbook import workbook

SUFFIXES: Final = (".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")
BATCH: Final = 100_000
"""Rows. Judging a row takes about 1 KB."""

_CHUNK: Final = 1 << 24
_BLOCK_LIMIT: Final = 1 << 26
"""Bytes of CSV that are parsed at once: a longer record ends the file."""

Records = Iterable[tuple[int, dict[str, object] | str]]


@dataclass(frozen=True)
class Batches:
    """The raw rows of one file, at least one batch; they can be gone through more than once.

    Frames with ``_line`` and ``_text``; the other columns are the file's own. JSON lines may have
    a column in one batch that they lack in another.
    """

    read: Callable[[], Iterator[pl.DataFrame]]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Read the file from its start.

        Raises:
            BadInputError: If it is not of the kind its name says, or ends within a record.
        """
        return self.read()


def batches(path: Path) -> Batches:
    """The raw rows of one file.

    Raises:
        BadInputError: If the file is missing, empty, or not of the kind its name says.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty: expected at least a header or a row")
    suffix = path.suffix.lower()
    whole = {".json": _json, ".xlsx": workbook}
    streamed = {
        ".csv": _csv,
        ".jsonl": json_lines,
        ".ndjson": json_lines,
        ".parquet": lambda path: parquet_batches(path, BATCH),
    }
    if suffix in whole:
        rows = whole[suffix](path)
        return Batches(lambda: rows.iter_slices(BATCH) if rows.height else iter([rows]))
    if suffix not in streamed:
        raise BadInputError(f"{path}: expected one of {', '.join(SUFFIXES)}")
    return Batches(lambda: _whole_records(path, streamed[suffix](path)))


def may_hold_slashes(path: Path, columns: list[str]) -> bool:
    """Whether one of the columns may be text with a slash in it; False is certain."""
    if path.suffix.lower() == ".parquet":
        types = parquet_types(path)
        return any(name in types and not pa.types.is_temporal(types[name]) for name in columns)
    if path.suffix.lower() == ".xlsx":
        return True
    with path.open("rb") as file:
        return any(b"/" in chunk for chunk in iter(lambda: file.read(_CHUNK), b""))


def _whole_records(path: Path, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames; refuse a text file that ends within a record: what came after is missing too.

    A log that somebody is writing ends so too; it is read by ``json_lines`` alone.
    """
    last, unread = 0, None
    for frame in frames:
        if frame.height:
            last, unread = max((last, unread), frame.sort("_line").select("_line", "_text").row(-1))
        yield frame
    if path.suffix.lower() == ".parquet":
        return
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        if file.read(1) in b"\r\n":
            return
    # A whole last line without its line end is what many programs write.
    if unread is not None and (path.suffix.lower() == ".csv" or unread.startswith("{")):
        raise BadInputError(
            f"{path} is cut: it ends in the middle of record {last}: '{unread[:80]}'; get it again"
        )


def _csv(path: Path) -> Iterator[pl.DataFrame]:
    encoding = _encoding(path)
    names, delimiter = _header(path, encoding)
    refused: list[tuple[int, str]] = []

    def refuse(row: pc.InvalidRow) -> str:
        refused.append((row.number, row.text))
        return "skip"

    try:
        blocks = pc.open_csv(
            path,
            # One thread: only then do refused rows know their number.
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
        yield from _numbered(blocks, refused)
    except pa.ArrowException as error:
        raise BadInputError(f"{path} is no CSV file: {error}") from error


def _numbered(
    blocks: pc.CSVStreamingReader, refused: list[tuple[int, str]]
) -> Iterator[pl.DataFrame]:
    """Give fit records the numbers that the refused ones left; the header is number 1.

    ``refused`` grows while the blocks are parsed, and is ahead of them.
    """
    taken: set[int] = set()
    number = 2
    empty = pl.from_arrow(pa.table({n: pa.array([], pa.string()) for n in blocks.schema.names}))
    yield _with_refused(empty.with_columns(pl.Series("_line", [], dtype=pl.Int64)), [])
    for block in blocks:
        rows = pl.from_arrow(block)
        for part in rows.iter_slices(BATCH):
            told, refused[:] = refused[:], []
            taken.update(at for at, _ in told)
            lines = []
            while len(lines) < part.height:
                if number not in taken:
                    lines.append(number)
                number += 1
            numbered = part.with_columns(pl.Series("_line", lines, dtype=pl.Int64))
            yield _with_refused(numbered, told)
    if refused:
        yield _with_refused(empty.with_columns(pl.Series("_line", [], dtype=pl.Int64)), refused)


def _with_refused(rows: pl.DataFrame, refused: list[tuple[int, str]]) -> pl.DataFrame:
    bad = pl.DataFrame(refused, schema={"_line": pl.Int64, "_text": pl.String}, orient="row")
    fit = rows.with_columns(pl.lit(None, dtype=pl.String).alias("_text"))
    return pl.concat([fit, bad], how="diagonal")


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


def json_lines(path: Path) -> Iterator[pl.DataFrame]:
    """One JSON object a line; a line that is none (or cut short) becomes ``_text``."""
    with path.open("rb") as file:
        yield from _frames(_objects(file))


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
    records = (
        (number, row if isinstance(row, dict) else json.dumps(row))
        for number, row in enumerate(rows, start=1)
    )
    return pl.concat(_frames(records), how="diagonal")


def _frames(records: Records) -> Iterator[pl.DataFrame]:
    """Records to columns of text, at least one frame of them."""
    left = iter(records)
    batch = list(islice(left, BATCH))
    while True:
        yield _columns(batch)
        batch = list(islice(left, BATCH))
        if not batch:
            return


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
