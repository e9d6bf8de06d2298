"""Batches in, whole days out: nothing lost, and nothing that shows where a batch ended."""

import tempfile
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.schemas import LANDED_EVENTS
from ingest import content
from ingest.sift import judge
from ingest.spool import Spool
from ingest.staging import stage
from tests.ingest.test_sift import EVENT, NOW, event, raw


@contextmanager
def staged(rows, *, batch=1_000):
    """All days of some raw rows, judged ``batch`` at a time."""
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name) / "spool", table="events", schema=LANDED_EVENTS)
        for start in range(0, len(rows), batch):
            part = raw(rows[start : start + batch])
            spool.add(judge(part, table="events", schema=LANDED_EVENTS, now=NOW))
        days = set(spool.rows_in)
        yield stage(spool, days, Path(name) / "staged", LANDED_EVENTS, is_held=lambda entry: False)


def read(files):
    frames = [pl.DataFrame(pq.ParquetFile(file).read()) for file in files.values()]
    return pl.concat(frames) if frames else pl.DataFrame({"event_id": [], "reason": []})


def bytes_of(result):
    files = {**result.landed, **{("refused", day): f for day, f in result.quarantined.items()}}
    return result.entries, result.reasons, {day: file.read_bytes() for day, file in files.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, max_size=30), st.integers(1, 7))
def test_rows_in_are_landed_plus_duplicate_plus_quarantined_on_every_day(rows, batch):
    with staged(rows, batch=batch) as result:
        totals = Counter()
        for day, entry in result.entries.items():
            assert min(entry.rows_landed, entry.rows_duplicate, entry.rows_quarantined) >= 0
            totals["in"] += entry.rows_in
            totals["landed"] += entry.rows_landed
            totals["quarantined"] += entry.rows_quarantined
            if day in result.landed:
                rows_there = pq.ParquetFile(result.landed[day]).read()
                assert rows_there.num_rows == entry.rows_landed
                assert content.table_hash(rows_there) == entry.content_hash
        landed, refused = read(result.landed), read(result.quarantined)
        assert totals["in"] == len(rows)
        assert totals["landed"] == landed.height == landed["event_id"].n_unique()
        assert totals["quarantined"] == refused.height == result.reasons.total()


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, max_size=30), st.integers(1, 7), st.randoms())
def test_neither_batches_nor_the_order_of_the_rows_change_a_byte(rows, batch, random):
    with staged(rows) as whole, staged(random.sample(rows, len(rows)), batch=batch) as parts:
        assert bytes_of(whole) == bytes_of(parts)


def test_the_same_line_twice_lands_once():
    with staged([event(), event()], batch=1) as result:
        entry = result.entries[date(2026, 1, 1)]
    assert (entry.rows_in, entry.rows_landed, entry.rows_duplicate) == (2, 1, 1)


def test_of_two_rows_with_one_id_the_earlier_lands_and_the_later_counts_on_its_own_day():
    later, earlier = event(event_id="e", event_timestamp="2026-01-02"), event(event_id="e")
    with staged([later, earlier], batch=1) as result:
        (moment,) = read(result.landed)["event_timestamp"]
        assert result.entries[date(2026, 1, 2)].rows_duplicate == 1
    assert moment == datetime(2026, 1, 1, tzinfo=UTC)


def test_of_two_rows_with_one_id_and_moment_the_smaller_content_lands():
    rows = [event(event_id="e", user_id=user) for user in ("b", "a", "c")]
    with staged(rows, batch=1) as result:
        assert read(result.landed)["user_id"].to_list() == ["a"]


def test_a_control_character_in_an_id_does_not_disturb_the_days_hash():
    """By id, "a" comes before "a\\x01"; by content, "a" + U+001F after it."""
    with staged([event(event_id="a"), event(event_id="a\x01")], batch=1) as result:
        table = pq.ParquetFile(result.landed[date(2026, 1, 1)]).read()
        assert content.table_hash(table) == result.entries[date(2026, 1, 1)].content_hash


def test_a_file_has_the_bytes_of_one_that_was_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("domain.tables.ROW_GROUP", 16)
    monkeypatch.setattr("ingest.spool._ROWS_AT_ONCE", 5)
    rows = [event(event_id=f"{number:03}") for number in range(50)]
    with staged(rows, batch=7) as result:
        file = result.landed[date(2026, 1, 1)]
        table = pq.ParquetFile(file).read()
        at_once = tmp_path / "at_once.parquet"
        pq.write_table(table, at_once, compression="zstd", row_group_size=16)
        assert file.read_bytes() == at_once.read_bytes()
