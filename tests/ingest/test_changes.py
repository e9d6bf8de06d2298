"""A single day finds every known day that the source tells differently; none becomes less."""

import shutil
from datetime import date, timedelta

import pytest

from domain import dirty
from domain.errors import BadInputError
from ingest import ledger

DAYS = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]


def with_ids(events):
    return [dict(row, event_id=f"e{number}") for number, row in enumerate(events)]


@pytest.mark.parametrize("days_late", [0, 1, 30])
def test_late_rows_land_on_their_day_as_if_they_had_been_there(  # noqa: PLR0917 - fixtures
    land, lake, shop, events, lake_bytes, days_late
):
    """An hour, a day and thirty days late: the lake is the one that a history would have made."""
    today = DAYS[0] + timedelta(days=days_late)
    own = with_ids(events)
    newest = dict(own[0], event_id="today", event_timestamp=f"{today}T11:00:00Z")
    late = dict(own[0], event_id="late", event_timestamp="2026-01-01T10:30:00Z")
    land("files", shop([own[0], newest]), until=today + timedelta(days=1))
    dirty.clear(lake, dirty.days(lake))
    land("files", shop([late, newest, own[0]]), day=today)
    assert dirty.days(lake) == sorted({DAYS[0], today})
    found = lake_bytes()
    shutil.rmtree(lake)
    land("files", shop([own[0], late, newest]), until=today + timedelta(days=1))
    whole = lake_bytes()
    facts = {name for name in {*found, *whole} if "/events/" in name}
    assert {name: found.get(name) for name in facts} == {name: whole.get(name) for name in facts}


def test_a_corrected_row_is_found_although_there_are_as_many_as_before(
    land, lake, shop, landed, events
):
    own = with_ids(events)
    land("files", shop(own))
    dirty.clear(lake, DAYS)
    land("files", shop([dict(own[0], user_id="u9"), *own[1:]]), day=DAYS[2])
    assert landed("files.events", "2026-01-01")["user_id"].to_pylist() == ["u9"]
    assert dirty.days(lake) == [DAYS[0], DAYS[2]]


def test_an_id_that_turns_up_on_an_earlier_day_leaves_the_later_one(
    land, lake, shop, landed, events
):
    """The earliest row of an id lands; the day it stood on before is landed again without it."""
    own = with_ids(events)
    land("files", shop(own))
    dirty.clear(lake, DAYS)
    earlier = dict(own[1], event_timestamp="2026-01-01T12:00:00Z")
    land("files", shop([*own, earlier]), day=DAYS[2])
    assert landed("files.events", "2026-01-01")["event_id"].to_pylist() == ["e0", "e1"]
    assert landed("files.events", "2026-01-02").num_rows == 0
    assert dirty.days(lake) == DAYS
    entry = ledger.entries(lake, "files", "events")[DAYS[1]]
    assert (entry.rows_in, entry.rows_duplicate) == (1, 1)


def test_a_replay_is_counted_and_makes_no_day_dirty(land, lake, shop, events, write_csv):
    folder = shop(events)
    land("files", folder)
    dirty.clear(lake, DAYS)
    write_csv(folder / "events_again.csv", events[::-1])
    land("files", folder, day=DAYS[2])
    assert dirty.days(lake) == [DAYS[2]]
    assert ledger.entries(lake, "files", "events")[DAYS[0]].rows_duplicate == 1


def test_late_rows_without_the_days_others_never_replace_the_day(land, lake, shop, events):
    more = [dict(row, quantity=n) for row in events for n in range(3)]
    land("files", shop(more))
    only_late = dict(events[0], user_id="late")
    for arguments in ({"day": DAYS[2]}, {}):
        with pytest.raises(BadInputError, match="2026-01-01 was landed with 3 fit rows, the sou"):
            land("files", shop([only_late, *more[6:]]), **arguments)
    assert ledger.entries(lake, "files", "events")[DAYS[0]].rows_landed == 3


def test_a_day_that_is_asked_for_may_become_less(land, lake, shop, events):
    more = [dict(row, quantity=n) for row in events for n in range(3)]
    land("files", shop(more))
    land("files", shop(more[1:]), day=DAYS[0])
    assert ledger.entries(lake, "files", "events")[DAYS[0]].rows_landed == 2


def test_a_days_file_is_replaced_in_one_step(land, lake, shop, events):
    """Whoever reads meanwhile keeps the file it opened, whole, and a new reader finds the new."""
    land("files", shop(events))
    path = lake / "files/events/event_date=2026-01-01/part.parquet"
    with path.open("rb") as open_before:
        before = path.read_bytes()
        land("files", shop([dict(events[0], user_id="u9"), *events[1:]]), day=DAYS[0])
        assert open_before.read() == before
    assert path.read_bytes() != before
