"""The stream of newest rows against a dictionary that saw every row."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.newest import newest_rows

START = datetime(1969, 12, 30, tzinfo=UTC)
END = datetime(1970, 1, 3, 12, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")


def write_days(folder: Path, *, days: int, rows: int, seed: int) -> list[dict]:
    """Some days around 1970, row groups of 100; returns every row, in the order of the files."""
    rng = np.random.default_rng(seed)
    written = []
    for number in range(days):
        day = START + timedelta(days=number)
        found = [
            {
                "user_id": f"u{rng.integers(0, 150)}",
                "shelf": int(rng.integers(0, 2)),
                # Few different moments: many rows are of one moment.
                "event_timestamp": day + timedelta(hours=int(rng.integers(0, 24))),
                "count": int(rng.integers(0, 10**6)),
            }
            for _ in range(rows)
        ]
        path = folder / f"event_date={day.date()}" / "part.parquet"
        path.parent.mkdir(parents=True)
        fields = [("user_id", pa.string()), ("shelf", pa.int32()), ("event_timestamp", MOMENT)]
        table = pa.Table.from_pylist(found, pa.schema([*fields, ("count", pa.int64())]))
        pq.write_table(table, path, row_group_size=100)
        written += found
    return written


def newest_of(rows: list[dict]) -> dict:
    best: dict = {}
    for row in rows:
        key = (row["user_id"], row["shelf"])
        is_within = START <= row["event_timestamp"] <= END
        if is_within and (
            key not in best or row["event_timestamp"] >= best[key]["event_timestamp"]
        ):
            best[key] = row
    return best


def read(path: str) -> list[dict]:
    batches = newest_rows(
        path,
        keys=["user_id", "shelf"],
        columns=["count"],
        moments="event_timestamp",
        start=START,
        end=END,
    )
    return [row for batch in batches for row in batch.to_pylist()]


def test_each_entity_comes_once_with_its_newest_row(tmp_path):
    rows = write_days(tmp_path, days=6, rows=450, seed=1)
    found = read(str(tmp_path / "event_date=*" / "part.parquet"))
    due = newest_of(rows)
    assert len(found) == len(due)
    assert {(row["user_id"], row["shelf"]): row for row in found} == due


def test_days_outside_the_span_are_not_even_opened(tmp_path):
    write_days(tmp_path, days=1, rows=10, seed=2)
    late = tmp_path / "event_date=1970-02-01" / "part.parquet"
    late.parent.mkdir()
    late.write_bytes(b"not opened, so not missed")
    pattern = str(tmp_path / "event_date=*" / "part.parquet")
    assert read(pattern)
    late.rename(late.with_name("moved"))
    now = tmp_path / "event_date=1970-01-02" / "part.parquet"
    now.parent.mkdir()
    now.write_bytes(b"opened, and refused")
    with pytest.raises(Exception, match=r"(?i)parquet"):
        read(pattern)


def test_no_file_gives_no_row(tmp_path):
    assert read(str(tmp_path / "*.parquet")) == []
