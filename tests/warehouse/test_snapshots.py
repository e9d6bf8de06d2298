from datetime import date

import duckdb
import pytest

from warehouse.snapshots import days_to_judge_again

ONE, TWO, THREE = (date(2026, 1, day) for day in (1, 2, 3))


@pytest.fixture
def built(settings, land, items_of):
    for day in (ONE, TWO, THREE):
        land(settings, "items", day, items_of(day))
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.execute("create table int_item_days (item_id text, event_date date)")
        rows = [[row["item_id"], day] for day in (ONE, TWO, THREE) for row in items_of(day)]
        connection.executemany("insert into int_item_days values (?, ?)", rows)
    return {ONE, TWO, THREE}


def test_a_snapshot_with_the_same_items_leaves_later_days_alone(settings, built):
    assert days_to_judge_again(settings, days=[ONE], built=built) == set()


def test_a_new_item_in_a_past_snapshot_makes_later_events_be_judged_again(settings, land, built):
    land(settings, "items", ONE, [{"item_id": "late", "title": "Late"}])
    assert days_to_judge_again(settings, days=[ONE, TWO], built=built) == {TWO, THREE}


def test_the_newest_day_has_no_later_days(settings, land, built):
    land(settings, "items", THREE, [{"item_id": "late", "title": "Late"}])
    assert days_to_judge_again(settings, days=[THREE], built=built) == set()
