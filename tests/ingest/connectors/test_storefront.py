import json
from datetime import UTC, date, datetime

import pytest

from domain import dirty
from ingest import ledger

EVENT = {
    "event_id": "c1",
    "event_type": "click",
    "event_timestamp": "2026-01-01T10:00:00Z",
    "user_id": "u1",
    "item_id": "i1",
    "position": 1,
}


@pytest.fixture
def log(home):
    """Append lines to a worker's log of one day."""

    def write(day, *lines, worker="worker-1"):
        path = home / "event_log" / f"event_date={day}" / f"{worker}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(
                line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines
            )

    return write


def test_what_the_service_logged_lands_with_the_shops_days(land, landed, log, shop):
    log("2026-01-01", EVENT)
    log("2026-01-01", dict(EVENT, event_id="c2", position=2), worker="worker-2")
    land("files", shop())
    assert landed("storefront.events", "2026-01-01")["position"].to_pylist() == [1, 2]
    assert landed("storefront.events", "2026-01-02").num_rows == 0


def test_a_line_cut_by_a_kill_is_set_aside_and_the_others_land(land, lake, log, shop, quarantined):
    log("2026-01-01", EVENT, '{"event_id": "c2", "event_ty')
    land("files", shop())
    (row,) = quarantined("storefront.events", "2026-01-01")
    assert row["reason"] == "unreadable_record"
    assert json.loads(row["row"]) == {"text": '{"event_id": "c2", "event_ty'}
    assert ledger.entries(lake, "storefront", "events")[date(2026, 1, 1)].rows_landed == 1


def test_an_event_logged_late_lands_in_its_day_and_makes_it_dirty(land, lake, landed, log, shop):
    land("files", shop(), until=date(2026, 1, 3))
    dirty.clear(lake, dirty.days(lake))
    log("2026-01-03", EVENT)
    land("files", shop(), day=date(2026, 1, 3))
    assert landed("storefront.events", "2026-01-01")["event_id"].to_pylist() == ["c1"]
    assert dirty.days(lake) == [date(2026, 1, 1), date(2026, 1, 3)]


def test_lines_written_after_their_day_was_landed_are_found_by_the_next_ingest(
    land, lake, landed, log, shop
):
    log("2026-01-01", EVENT)
    land("files", shop(), until=date(2026, 1, 3))
    log("2026-01-01", dict(EVENT, event_id="c2"))
    land("files", shop(), day=date(2026, 1, 3))
    assert landed("storefront.events", "2026-01-01").num_rows == 2


def test_an_event_from_after_the_day_it_was_logged_is_set_aside_on_that_day(
    land, log, shop, quarantined
):
    log("2026-01-01", dict(EVENT, event_timestamp="2026-01-02T00:00:00Z"))
    land("files", shop())
    assert [r["reason"] for r in quarantined("storefront.events", "2026-01-01")] == [
        "future_timestamp"
    ]


def test_days_the_shop_has_not_landed_yet_wait(land, lake, log, shop):
    log("2026-01-04", dict(EVENT, event_timestamp="2026-01-04T10:00:00Z"))
    receipt = land("files", shop())
    assert receipt.details["rows"]["storefront.events"] == 0
    assert not (lake / "storefront/events/event_date=2026-01-04").exists()


def test_an_event_sent_twice_counts_once(land, log, shop):
    log("2026-01-01", EVENT, EVENT)
    log("2026-01-02", EVENT, worker="worker-2")
    receipt = land("files", shop())
    assert receipt.details["rows"]["storefront.events"] == 1
    assert receipt.rows_duplicate == 2


def test_what_the_services_own_log_writes_is_fit(land, landed, home, shop):
    from bentos.recommender.event_log import EventLog, posted
    from bentos.recommender.schemas import EventIn

    click = EventIn(event_type="click", user_id="u1", item_id="i1", position=3, surface="home")
    now = datetime(2026, 1, 2, 23, 59, 59, tzinfo=UTC)
    assert EventLog(home / "event_log", worker="w").write(posted([click], now=now)) == 1
    receipt = land("files", shop())
    (row,) = landed("storefront.events", "2026-01-02").to_pylist()
    assert (row["event_timestamp"], row["position"], row["surface"]) == (now, 3, "home")
    assert receipt.rows_quarantined == 0
