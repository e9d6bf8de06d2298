import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from domain import dirty
from domain.clock import read_last_date
from domain.errors import BadInputError
from domain.schemas import LANDED
from ingest import ledger

DAYS = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]


def test_a_history_lands_each_event_on_the_utc_day_it_happened(land, lake, shop, landed):
    receipt = land("files", shop())
    assert [landed("files.events", str(day)).num_rows for day in DAYS] == [1, 1, 1]
    assert (receipt.rows_in, receipt.rows_out) == (3 + 2, 3 + 2)  # events and items
    assert read_last_date(lake) == date(2026, 1, 3)
    assert dirty.days(lake) == DAYS


def test_what_is_landed_has_exactly_the_schema_of_the_domain(land, lake, shop, landed):
    land("files", shop(users=[{"user_id": "u1", "signup_date": "2025-12-31"}]))
    for table, schema in LANDED["files"].items():
        assert landed(f"files.{table}", "2026-01-01").schema.equals(schema)
    assert landed("storefront.events", "2026-01-01").schema.equals(LANDED["storefront"]["events"])


def test_landing_the_same_history_again_changes_no_byte_and_writes_no_day(
    land, lake, shop, lake_bytes
):
    land("files", shop())
    before = lake_bytes()
    again = land("files", shop())
    assert lake_bytes() == before
    assert set(again.details["days_written"].values()) == {0}


def test_the_order_of_the_rows_in_the_file_does_not_reach_the_lake(
    land, lake, shop, lake_bytes, events
):
    events = [dict(row, quantity=number) for row in events for number in range(5)]
    items = [{"item_id": f"i{number}", "title": "Lamp"} for number in range(9)]
    land("files", shop(events, items))
    before = lake_bytes()
    shutil.rmtree(lake)
    land("files", shop(events[::-1], items[::-1]))
    assert lake_bytes() == before


def test_a_single_day_gives_the_same_bytes_as_the_history(land, lake, lake_bytes, tiny):
    land("online_retail", tiny)
    whole = lake_bytes()
    shutil.rmtree(lake)
    for day in ("2011-02-01", "2011-02-02", "2011-02-03", "2011-02-05"):
        land("online_retail", tiny, day=date.fromisoformat(day))
    assert lake_bytes() == whole


def test_a_single_day_is_replaced_even_if_its_file_was_tampered_with(land, lake, shop):
    land("files", shop())
    file = lake / "files/events/event_date=2026-01-02/part.parquet"
    before = file.read_bytes()
    pq.write_table(pq.ParquetFile(file).read().slice(0, 0), file)
    land("files", shop(), day=DAYS[1])
    assert file.read_bytes() == before


def test_a_history_lands_a_day_again_whose_file_was_cut(land, lake, shop, lake_bytes):
    land("files", shop())
    before = lake_bytes()
    (lake / "files/events/event_date=2026-01-02/part.parquet").write_bytes(b"PAR1")
    land("files", shop())
    assert lake_bytes() == before


def test_until_is_the_first_day_that_is_not_landed(land, lake, shop):
    land("files", shop(), until=DAYS[2])
    assert read_last_date(lake) == DAYS[1]
    assert not (lake / "files/events/event_date=2026-01-03").exists()


def test_a_late_event_lands_in_the_day_it_happened_and_makes_that_day_dirty(
    land, lake, shop, landed, events
):
    land("files", shop(), until=DAYS[2])
    dirty.clear(lake, DAYS)
    late = dict(events[0], user_id="u3")
    receipt = land("files", shop([*events, late]), day=DAYS[2])
    assert landed("files.events", "2026-01-01").num_rows == 2
    assert dirty.days(lake) == [DAYS[0], DAYS[2]]
    assert receipt.details["days_written"]["files.events"] == 2


def test_a_day_the_source_has_no_rows_for_lands_empty_and_the_clock_moves_on(
    land, lake, landed, tiny
):
    land("online_retail", tiny, until=date(2011, 2, 4))
    receipt = land("online_retail", tiny, day=date(2011, 2, 4))  # no trading
    assert (receipt.rows_in, receipt.rows_out) == (0, 0)
    assert landed("online_retail.transactions", "2011-02-04").num_rows == 0
    assert read_last_date(lake) == date(2011, 2, 4)


def test_an_empty_day_and_a_missing_feed_are_told_apart(land, lake, shop, events, write_csv):
    folder = shop(events[:2])
    land("files", folder, until=DAYS[2])
    missing = land("files", folder, day=DAYS[2])
    assert missing.details["feed"] == "missing"
    assert not (lake / "files/events/event_date=2026-01-03").exists()
    names = ",".join(events[0]) + "\n"
    (folder / "events_2026-01-03.csv").write_text(names)
    empty = land("files", folder, day=DAYS[2])
    assert empty.details["feed"] == "empty"
    assert pq.read_metadata(lake / "files/events/event_date=2026-01-03/part.parquet").num_rows == 0
    write_csv(folder / "events_2026-01-03.csv", events[2:])
    assert land("files", folder, day=DAYS[2]).details["feed"] == "arrived"


def test_a_source_that_no_longer_reaches_a_day_does_not_empty_it(land, lake, shop, events):
    land("files", shop(events))
    file = lake / "files/events/event_date=2026-01-01/part.parquet"
    before = file.read_bytes()
    late = land("files", shop(events[1:]), day=DAYS[0])
    assert late.details["feed"] == "missing"
    assert file.read_bytes() == before


def test_a_history_lands_no_folder_for_days_without_trading(land, lake, tiny):
    land("online_retail", tiny)
    folders = sorted(f.name for f in (lake / "online_retail/transactions").iterdir())
    assert folders == [f"event_date=2011-02-0{day}" for day in (1, 2, 3, 5)]


def test_a_home_that_holds_one_shop_refuses_another(land, shop, tiny):
    land("files", shop())
    with pytest.raises(BadInputError, match="already holds the shop 'files'"):
        land("online_retail", tiny)


def test_a_source_without_one_fit_row_is_refused_and_its_rows_are_kept(land, lake, shop, events):
    with pytest.raises(BadInputError, match="not one of 1 rows of events is fit"):
        land("files", shop([dict(events[0], event_timestamp="yesterday")]))
    assert ledger.read(lake).to_pylist()[0]["rows_quarantined"] == 1


def test_the_simulated_shop_lands_with_its_dirt_set_aside(land, lake):
    receipt = land("simulated", simulator_preset="debug", until=date(2026, 2, 19))
    days = receipt.details["days"]
    assert days == dict.fromkeys(
        ("simulated.events", "simulated.items", "simulated.users", "storefront.events"), 3
    )
    assert set(receipt.details["quarantined_by_reason"]) == {
        "future_timestamp",
        "missing_value",
        "negative_price",
        "nul_byte",
    }
    assert receipt.rows_duplicate > 0


def test_a_day_of_the_simulated_shop_is_the_same_alone_and_in_a_history(land, lake, lake_bytes):
    land("simulated", simulator_preset="debug", until=date(2026, 2, 18))
    whole = lake_bytes()
    land("simulated", simulator_preset="debug", day=date(2026, 2, 17))
    assert lake_bytes() == whole


def test_an_unknown_preset_is_named(land):
    with pytest.raises(BadInputError, match="no simulator preset 'huge'"):
        land("simulated", simulator_preset="huge")


def test_snapshots_stand_on_the_first_day_of_a_history_and_on_an_asked_day(land, lake, shop):
    land("files", shop(), until=DAYS[2])
    land("files", shop(), day=DAYS[2])
    folders = sorted(folder.name for folder in (lake / "files/items").iterdir())
    assert folders == ["event_date=2026-01-01", "event_date=2026-01-03"]


def test_a_shop_without_users_has_no_empty_day_of_users(land, lake, shop):
    """``vitrine check landed`` would take it for a feed that came without a row."""
    land("files", shop())
    land("files", shop(), day=date(2026, 1, 1))
    assert (lake / "files" / "items").is_dir()
    assert not (lake / "files" / "users").exists()


@pytest.mark.parametrize("table", ["items", "users"])
def test_a_list_that_came_without_a_row_is_a_day_without_rows(land, lake, shop, write_csv, table):
    """Not a shop without such a list: ``vitrine check landed`` refuses it."""
    folder = shop()
    land("files", folder)
    (folder / f"{table}.csv").write_text("item_id,title\n" if table == "items" else "user_id\n")
    land("files", folder, day=date(2026, 1, 2))
    landed = pl.read_parquet(lake / "files" / table / "event_date=2026-01-02" / "part.parquet")
    assert landed.is_empty()


@pytest.mark.slow
def test_the_million_lines_of_online_retail_land_within_a_minute(land, lake, shared: Path):
    receipt = land("online_retail", shared / "data" / "online_retail")
    assert receipt.rows_in == 525_461 + 541_909
    # select count(*) from (select distinct * from both files) in DuckDB says 1,033,035
    assert receipt.rows_out == 1_033_035
    assert receipt.rows_quarantined == 0
    assert receipt.details["days"]["online_retail.transactions"] == 604
    assert receipt.seconds < 60


def test_files_added_beside_the_first_are_read_too(land, lake, shop, events, write_csv):
    folder = shop(events[:1])
    write_csv(folder / "events_2.csv", events[1:])
    assert land("files", folder).details["rows"]["files.events"] == 3


def test_a_history_without_any_rows_is_refused(land, shop):
    folder = shop()
    with pytest.raises(BadInputError, match="files has no events before 2020-01-01"):
        land("files", folder, until=date(2020, 1, 1))
    (folder / "events.csv").write_text("event_type,event_timestamp,user_id,item_id\n")
    with pytest.raises(BadInputError, match="files has no events: nothing was landed"):
        land("files", folder)
