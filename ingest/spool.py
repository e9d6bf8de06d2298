"""Judged rows wait on the disk until all of them have come; then they are sorted there.

So a day may be larger than the memory: what is held is one batch, and what DuckDB is given to sort
with. The rows come out by day, then as their contents are sorted, which is by id.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.content import SEPARATOR
from ingest.rules import ID_COLUMN, TIME_COLUMN
from ingest.sift import CONTENT, DAY, Judged

MEMORY: Final = "1GB"
"""What DuckDB may hold; it sorts the rest on the disk."""

_THREADS: Final = 2  # Each of them needs its share of the memory.
_ROWS_AT_ONCE: Final = 100_000
FILE: Final = "_file"
_NO_IDS: Final = pa.table({DAY: pa.array([], pa.date32()), "id": pa.array([], pa.uint64())})

DayRows = Iterator[tuple[date | None, Iterator[pl.DataFrame]]]


class Spool:
    """The judged rows of one table, in files below ``folder``.

    Attributes:
        rows_in: Day → rows, fit or not; None: the day cannot be known.
        reasons: (day, reason) → refused rows.
    """

    def __init__(self, folder: Path, *, table: str, schema: pa.Schema) -> None:
        self._folder, self._table, self._schema = folder, table, schema
        self._parts = 0
        self.rows_in: Counter[date | None] = Counter()
        self.reasons: Counter[tuple[date | None, str]] = Counter()

    def add(self, judged: Judged, *, file: int | None = None) -> None:
        """Put a batch aside. ``file``: the number of the source's file it came from."""
        self.rows_in.update(judged.rows_in())
        self.reasons.update(judged.refused_by_reason())
        self._parts += 1
        number = pl.lit(file, dtype=pl.Int64).alias(FILE)
        for kind, rows in (("fit", judged.fit()), ("refused", judged.refused())):
            if rows.height:
                path = self._folder / kind / f"{self._parts}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.with_columns(number).write_parquet(path, compression="lz4")

    def add_unknown(self, told: Path) -> None:
        """Put rows aside that a file of ``write_unknown`` tells of."""
        rows = pl.DataFrame(pq.ParquetFile(told).read())
        self.rows_in[None] += rows.height
        self.reasons.update((None, reason) for reason in rows["reason"])
        self._parts += 1
        path = self._folder / "refused" / f"{self._parts}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        nobody = (pl.lit(None, pl.Date).alias(DAY), pl.lit(None, pl.Int64).alias(FILE))
        rows.with_columns(nobody).write_parquet(path, compression="lz4")

    def landed(self) -> DayRows:
        """Each day's rows without the repeated ones: the schema's columns.

        The same id twice is a duplicate wherever the other one stands, over all days: the earliest
        row lands, the smallest content among equals. Users and items: one a day and id.
        """
        key, moment = ID_COLUMN[self._table], TIME_COLUMN.get(self._table)
        same = [key] if moment else [DAY, key]
        first = [moment, CONTENT] if moment else [CONTENT]
        return self._sorted(
            "fit",
            f"""
            with repeated as (select {_names(same)} from fit group by all having count(*) > 1),
            once as (select * from fit anti join repeated using ({_names(same)})),
            chosen as (
                select * from fit semi join repeated using ({_names(same)})
                qualify row_number() over (
                    partition by {_names(same)} order by {_names(first)}
                ) = 1
            )
            select {_names([*self._schema.names, DAY])}
            from (from once union all from chosen)
            order by {DAY}, {key} || chr({ord(SEPARATOR)})
            """,
        )

    def refused(self) -> DayRows:
        """Each day's refused rows: ``row``, ``reason``, ``line``; the unknown day comes last."""
        return self._sorted("refused", f"from refused order by {DAY}, reason, row, line nulls last")

    def days_of_same_ids(
        self,
        days: Set[date | None],
        *,
        gone: Sequence[str],
        elsewhere: Sequence[str],
    ) -> set[date | None]:
        """The other days on which an id of these days' rows stands too.

        Args:
            days: Whose ids are looked for.
            gone: Files of ``write_ids`` whose ids are looked for as well.
            elsewhere: Files of ``write_ids`` about rows that are not in the spool.
        """
        key = f"hash({ID_COLUMN[self._table]})"
        is_one = f"list_contains($days::date[], {DAY})"
        with self._reader("fit") as reader:
            for name, told in (("gone", gone), ("elsewhere", elsewhere)):
                rows = reader.read_parquet(told) if told else reader.from_arrow(_NO_IDS)
                rows.create_view(name)
            found = reader.execute(
                f"""
                with wanted as (
                    select {key} as id from fit where {is_one} union all select id from gone
                ),
                others as (
                    select {DAY}, {key} as id from fit where not {is_one}
                    union all select {DAY}, id from elsewhere
                )
                select distinct {DAY} from others semi join wanted using (id)
                """,
                {"days": [day for day in days if day]},
            ).fetchall()
        return {day for (day,) in found}

    def write_ids(self, folder: Path) -> dict[int, Path]:
        """For each file's number a file of ``_day`` and the hash of the id of every fit row."""
        return self._write_by_file("fit", f"{DAY}, hash({ID_COLUMN[self._table]}) as id", folder)

    def write_unknown(self, folder: Path) -> dict[int, Path]:
        """For each file's number a file of its refused rows whose day cannot be known."""
        return self._write_by_file("refused", "row, reason, line", folder, where=f"{DAY} is null")

    def _write_by_file(
        self, kind: str, columns: str, folder: Path, *, where: str = "true"
    ) -> dict[int, Path]:
        if not self._files(kind):
            return {}
        folder.mkdir(parents=True)
        with self._reader(kind) as reader:
            reader.execute(
                f"copy (select {columns}, {FILE} from {kind} where {FILE} is not null and {where}) "
                f"to '{folder}' (format parquet, partition_by ({FILE}))"
            )
        return {
            int(path.parent.name.removeprefix(f"{FILE}=")): path
            for path in folder.glob(f"{FILE}=*/*.parquet")
        }

    def _sorted(self, kind: str, query: str) -> DayRows:
        if not self._files(kind):
            return
        with self._reader(kind) as reader:
            yield from _by_day(reader.sql(query).to_arrow_reader(_ROWS_AT_ONCE))

    @contextmanager
    def _reader(self, kind: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """DuckDB with the rows of one kind as a view of that name."""
        settings = {
            "memory_limit": MEMORY,
            "threads": _THREADS,
            "temp_directory": str(self._folder / "sorting"),
            "preserve_insertion_order": False,
            "default_null_order": "nulls_last",
        }
        with duckdb.connect(config=settings) as reader:
            reader.execute("set TimeZone = 'UTC'")
            files = self._files(kind)
            rows = reader.read_parquet(files) if files else reader.from_arrow(self._nothing)
            rows.create_view(kind)
            yield reader

    @property
    def _nothing(self) -> pa.Table:
        return (
            self._schema.append(pa.field(DAY, pa.date32()))
            .append(pa.field(FILE, pa.int64()))
            .empty_table()
        )

    def _files(self, kind: str) -> list[str]:
        return sorted(map(str, (self._folder / kind).glob("*.parquet")))


def _by_day(batches: Iterable[pa.RecordBatch]) -> DayRows:
    pieces = (
        (day, piece.drop(DAY))
        for batch in batches
        for (day,), piece in pl.from_arrow(batch).group_by(DAY, maintain_order=True)
    )
    for day, run in groupby(pieces, key=itemgetter(0)):
        yield day, map(itemgetter(1), run)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
