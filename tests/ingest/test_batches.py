"""Where a batch ends shows nowhere: not in the lake, the ledger, the quarantine or the receipt."""

import json
import random
import shutil
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def dirty_events(seed):
    """Sixty rows of five days with every kind of dirt, in no order."""
    dice = random.Random(seed)
    rows = []
    for number in range(60):
        moment = START + timedelta(days=dice.randrange(5), minutes=number)
        row = {
            "event_id": dice.choice([f"e{number}", f"e{dice.randrange(20)}", None]),
            "event_type": dice.choice(["click", "view", "click", "dance"]),
            "event_timestamp": moment.isoformat(),
            "user_id": dice.choice(["u1", "u2", ""]),
            "item_id": "i1",
            "quantity": dice.choice([1, 2, -1]),
        }
        if number > 40:  # A key that no earlier row has.
            row["query_text"] = dice.choice(["lamp", "jo@example.org"])
        rows.append(row)
    return [*rows, *rows[:7]]


def as_csv(folder, rows):
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "events.csv")
    with (folder / "events.csv").open("a") as file:
        file.write("one,too,few\n")


def as_json_lines(folder, rows):
    lines = [json.dumps(row) for row in rows]
    (folder / "events.jsonl").write_text("\n".join([*lines[:30], "{broken", *lines[30:]]) + "\n")


def as_json(folder, rows):
    (folder / "events.json").write_text(json.dumps([*rows, "no object"]))


def as_parquet(folder, rows):
    """Typed moments, one of them beyond the calendar, so that its batch's column becomes text."""
    moment = pl.col("event_timestamp").str.to_datetime(time_zone="UTC", time_unit="us")
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(moment)
    beyond = pl.Series([2**60]).cast(pl.Datetime("us", "UTC"))
    last = frame.tail(1).with_columns(event_timestamp=beyond)
    pl.concat([frame, last]).write_parquet(folder / "events.parquet", row_group_size=17)


def as_csv_days_first(folder, rows):
    """Only the last row tells that 3/1/2026 is the third of January."""
    rows = [
        dict(row, event_timestamp=f"{1 + number % 5}/1/2026 10:00")
        for number, row in enumerate(rows)
    ]
    as_csv(folder, [*rows, dict(rows[0], event_timestamp="25/1/2026 10:00")])


@pytest.mark.parametrize("batch", [1, 4, 50])
@pytest.mark.parametrize("write", [as_csv, as_json_lines, as_json, as_parquet, as_csv_days_first])
def test_the_size_of_a_batch_does_not_change_a_byte(  # noqa: PLR0917 - fixtures
    land, lake, lake_bytes, shop, monkeypatch, write, batch
):
    folder = shop()
    (folder / "events.csv").unlink()
    write(folder, dirty_events(batch))
    whole = land("files", folder)
    expected = lake_bytes()
    shutil.rmtree(lake)
    for size in ("ingest.readers.BATCH", "ingest.spool._ROWS_AT_ONCE"):
        monkeypatch.setattr(size, batch)
    for size in ("ingest.readers._CHUNK", "ingest.readers._BLOCK_LIMIT"):
        monkeypatch.setattr(size, 512)
    parts = land("files", folder)
    assert lake_bytes() == expected
    assert parts.details == whole.details
    assert whole.rows_duplicate > 0
    assert len(whole.details["quarantined_by_reason"]) > 2


def test_days_first_is_decided_by_the_whole_file(land, landed, shop, monkeypatch):
    monkeypatch.setattr("ingest.readers.BATCH", 1)
    folder = shop()
    as_csv_days_first(folder, dirty_events(0))
    land("files", folder)
    assert landed("files.events", "2026-01-03").num_rows > 0
