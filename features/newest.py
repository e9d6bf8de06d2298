"""The newest row of each entity in a folder of Parquet, as a stream of Arrow batches.

First only keys and event times are read, to learn the places of the rows that win; then these rows,
a row group at a time. So memory holds a key and a place per entity (DuckDB goes to disk with them
above its limit), and never the features of more than a row group. One query for both would be
shorter, and would hold every feature: DuckDB keeps what it joins with itself.
"""

import glob
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS: Final = 16_384
_MEMORY: Final = "256MB"
_DAY: Final = re.compile(r"/event_date=(\d{4}-\d{2}-\d{2})/")

# A row's place: its file and its number in it. A moment and a place in one number: the greatest one
# of an entity is its newest row's, and of two of one moment the later one's.
_FILE_BITS: Final = 40
_PLACE: Final = 1 << 62
_WINNERS: Final = """
    SELECT max(CAST(epoch_us({moment}) AS HUGEINT) * $place + r.file_row_number + f.first) AS best
    FROM read_parquet($files, hive_partitioning = false, filename = true, file_row_number = true)
        AS r JOIN files AS f ON f.name = r.filename
    WHERE {moment} BETWEEN $start AND $end
    GROUP BY {keys}"""


def newest_rows(
    path: str,
    *,
    keys: Sequence[str],
    columns: Sequence[str],
    moments: str,
    start: datetime,
    end: datetime,
) -> Iterator[pa.RecordBatch]:
    """Rows of ``path`` within [start, end], one per entity: its newest, the last of equal ones.

    Args:
        path: A Parquet file or a pattern. Of files below ``event_date=<day>`` only those whose
            day touches the span are opened: a row stands in the folder of its UTC day.
        keys: The entity's columns.
        columns: Further columns.
        moments: The column of event times; a naive time is UTC.
        start: First moment.
        end: Last moment.
    """
    files = [name for name in sorted(glob.glob(path)) if _touches(name, start, end)]  # noqa: PTH207
    if not files:
        return
    places = _winners(files, keys, moments, start, end)
    wanted = [*keys, *columns, moments]
    for number, name in enumerate(files):
        first, last = np.searchsorted(places, [number << _FILE_BITS, (number + 1) << _FILE_BITS])
        if first < last:
            yield from _taken(name, wanted, places[first:last] - (number << _FILE_BITS))


def _winners(
    files: Sequence[str], keys: Sequence[str], moments: str, start: datetime, end: datetime
) -> npt.NDArray[np.int64]:
    """The places of the newest rows, ascending."""
    query = _WINNERS.format(
        moment=f"CAST(r.{_quoted(moments)} AS TIMESTAMPTZ)",
        keys=", ".join(f"r.{_quoted(key)}" for key in keys),
    )
    span = {"files": list(files), "start": _aware(start), "end": _aware(end), "place": _PLACE}
    names = [(name, number << _FILE_BITS) for number, name in enumerate(files)]
    with tempfile.TemporaryDirectory(prefix="vitrine-newest-") as aside, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{_MEMORY}'")
        db.execute(f"SET temp_directory = '{aside}'")
        db.execute("SET TimeZone = 'UTC'")
        db.execute("CREATE TABLE files (name VARCHAR, first BIGINT)")
        db.executemany("INSERT INTO files VALUES (?, ?)", names)
        # A moment before 1970 is negative: the remainder must not be.
        place = f"CAST((best % {_PLACE} + {_PLACE}) % {_PLACE} AS BIGINT)"
        found = db.execute(f"SELECT {place} AS place FROM ({query})", span)
        return np.sort(found.fetchnumpy()["place"].astype(np.int64))


def _taken(
    name: str, columns: Sequence[str], places: npt.NDArray[np.int64]
) -> Iterator[pa.RecordBatch]:
    """These rows of one file, row groups without any left out."""
    with pq.ParquetFile(name) as file:
        at = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(places, [at, at + rows])
            if first == last:
                at += rows
                continue
            batches = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns))
            for batch in batches:
                first, last = np.searchsorted(places, [at, at + batch.num_rows])
                yield _rows(batch, places[first:last] - at)
                at += batch.num_rows


def _rows(batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The batch's rows of these places; of neighbors nothing is copied."""
    if places[-1] - places[0] + 1 == len(places):
        return batch.slice(int(places[0]), len(places))
    return batch.take(pa.array(places))


def _touches(name: str, start: datetime, end: datetime) -> bool:
    found = _DAY.search(name)
    if found is None:
        return True
    return _aware(start).date() <= date.fromisoformat(found[1]) <= _aware(end).date()


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
