import shutil
from datetime import date

import pyarrow.parquet as pq
import pytest

from domain import dirty
from ingest import ledger
from ingest.audit import audit

DAY = "files/events/event_date=2026-01-02"


@pytest.fixture
def shop_in_lake(land, shop, events):
    return land("files", shop([*events, dict(events[1], quantity="-1"), dict(events[0])]))


@pytest.mark.usefixtures("shop_in_lake")
def test_an_untouched_lake_is_what_its_ledger_says(lake):
    found = audit(lake)
    assert found.breaks == ()
    # 5 events and 2 items, one line twice, one negative quantity
    assert (found.rows_in, found.rows_landed, found.rows_duplicate, found.rows_quarantined) == (
        7,
        5,
        1,
        1,
    )


def lose_the_folder(lake):
    shutil.rmtree(lake / DAY)


def cut_the_file(lake):
    (lake / DAY / "part.parquet").write_bytes(b"PAR1")


def drop_a_row(lake):
    path = lake / DAY / "part.parquet"
    pq.write_table(pq.ParquetFile(path).read().slice(1), path)


def change_a_value(lake):
    path = lake / DAY / "part.parquet"
    rows = pq.ParquetFile(path).read()
    place = rows.schema.get_field_index("user_id")
    pq.write_table(rows.set_column(place, rows.schema.field(place), [["somebody else"]]), path)


def lose_the_quarantine(lake):
    shutil.rmtree(lake / "quarantine")


@pytest.mark.usefixtures("shop_in_lake")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_the_folder, "1 rows landed, but there is no readable file"),
        (cut_the_file, "1 rows landed, but there is no readable file"),
        (drop_a_row, "1 rows landed, but 0 are there"),
        (change_a_value, "1 rows landed, but their content changed"),
        (lose_the_quarantine, "1 rows quarantined, but 0 are there"),
    ],
)
def test_every_harm_done_to_a_day_is_named_with_the_day(lake, harm, said):
    harm(lake)
    assert [str(found) for found in audit(lake).breaks] == [f"lake files.events 2026-01-02: {said}"]


@pytest.mark.usefixtures("shop_in_lake")
def test_a_folder_that_no_ledger_knows_is_a_break(lake):
    shutil.copytree(lake / DAY, lake / "files/events/event_date=2025-12-31")
    (found,) = audit(lake).breaks
    assert (found.day, "is in no ledger" in found.said) == (date(2025, 12, 31), True)


@pytest.mark.usefixtures("shop_in_lake")
def test_the_ledger_reads_as_one_table(lake):
    rows = ledger.read(lake)
    assert rows.schema.equals(ledger.READ_SCHEMA)
    assert sum(rows["rows_in"].to_pylist()) == 7


def test_dirty_days_are_marked_and_cleared(lake):
    days = [date(2026, 1, 2), date(2026, 1, 1)]
    for day in days:
        dirty.mark(lake, day)
    assert dirty.days(lake) == days[::-1]
    dirty.clear(lake, [days[0], date(2030, 1, 1)])
    assert dirty.days(lake) == [days[1]]
