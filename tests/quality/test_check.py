import re
from datetime import date, timedelta

import pytest

from domain import accepted_days
from domain.clock import write_last_date
from domain.errors import (
    BadInputError,
    DataQualityError,
    EmptyDayError,
    MissingFeedError,
    PartialFeedError,
)
from domain.settings import REPOSITORY, Settings
from quality.check import check_day, check_history
from quality.tables import resolve
from tests.quality.conftest import DAY, FIRST, good_day, write_day

REFUSED_REAL_DAYS = ["2010-06-20", "2010-12-19", "2010-12-22", "2011-02-06", "2011-12-09"]


def saturday_closed(table, weeks: int) -> date:
    """A shop that closes on Saturdays, for so many weeks; returns the Saturday after them."""
    saturday = date(2026, 1, 3) + timedelta(weeks=weeks)
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range((saturday - FIRST).days)]
    for day in days:
        if day.weekday() != 5:
            write_day(table, day, good_day("transactions", day))
    return saturday


def test_a_refused_day_is_named_with_table_expectation_column_expected_and_got(table_of):
    table = table_of("events")
    bad = [row | {"unit_price_cents": -7} for row in good_day("events", DAY)]
    write_day(table, DAY, bad)
    with pytest.raises(DataQualityError) as refusal:
        check_day(["simulated.events"], DAY, Settings())
    for word in ("simulated.events 2026-01-14", "price_cents_min", "0 … any", "got -7", "between"):
        assert word in str(refusal.value)


def test_an_accepted_day_moves_on_and_says_why(table_of, home):
    lake = Settings().lake
    write_day(table_of("events"), DAY, [])
    with pytest.raises(DataQualityError):
        check_day(["simulated.events"], DAY, Settings())
    accepted_days.accept(lake, {DAY: "the shop was painted"})
    accepted_days.accept(lake, {DAY + timedelta(days=1): "another day"})
    receipt = check_day(["simulated.events"], DAY, Settings())
    (why, breaks), *more = receipt.details["odd_days"].items()
    assert (why, more) == ("accepted: the shop was painted", [])
    assert any("row_count" in one for one in breaks)


def test_docs_are_drawn_for_refused_days_too(table_of, home):
    table = table_of("events")
    write_day(table, DAY, [])
    with pytest.raises(DataQualityError):
        check_day(["simulated.events"], DAY, Settings())
    index = home / "quality" / "data_docs" / "index.html"
    assert "simulated__events 2026-01-14" in index.read_text()
    write_day(table, DAY, good_day("events", DAY))
    receipt = check_day(["simulated.events"], DAY, Settings())
    assert receipt.artifacts == (str(index),)
    assert index.read_text().count("simulated__events 2026-01-14") > 1


def test_the_receipt_counts_the_rows_that_were_judged(table_of):
    write_day(table_of("events"), DAY, good_day("events", DAY, rows=20))
    write_day(table_of("user_features"), DAY, good_day("user_features", DAY))
    receipt = check_day(["simulated.events", "user_features"], DAY, Settings())
    assert receipt.rows_in == receipt.rows_out == 44
    assert receipt.details["rows"] == {"simulated.events": 20, "user_features": 24}


def test_without_a_day_the_last_landed_one_is_judged(table_of):
    write_day(table_of("events"), DAY, good_day("events", DAY))
    write_last_date(Settings().lake, DAY)
    assert check_day(["landed"], None, Settings()).key == f"landed-{DAY}"


def test_without_a_day_and_without_data_the_question_is_refused(home):
    with pytest.raises(BadInputError, match="--day"):
        check_day(["landed"], None, Settings())


def test_a_day_that_never_arrived_is_refused(table_of):
    table_of("events")
    with pytest.raises(DataQualityError, match="did not arrive"):
        check_day(["landed"], DAY, Settings())


def test_a_missing_feed_an_empty_day_and_a_partial_feed_are_three_answers(table_of):
    table = table_of("events")
    with pytest.raises(MissingFeedError, match=r"missing feed: nothing of 2026-01-14 is there"):
        check_day(["landed"], DAY, Settings())
    write_day(table, DAY, [])
    with pytest.raises(EmptyDayError, match=r"empty day: 2026-01-14 is there without a row"):
        check_day(["landed"], DAY, Settings())
    write_day(table, DAY, good_day("events", DAY)[:6])
    with pytest.raises(PartialFeedError, match=r"partial feed: 2026-01-14 is there, but not all"):
        check_day(["landed"], DAY, Settings())


def test_too_little_of_a_day_that_is_also_wrong_is_bad_data(table_of):
    table = table_of("events")
    few = [row | {"unit_price_cents": -1} for row in good_day("events", DAY)[:6]]
    write_day(table, DAY, few)
    with pytest.raises(DataQualityError, match="price_cents_min") as refusal:
        check_day(["landed"], DAY, Settings())
    assert type(refusal.value) is DataQualityError
    assert {"events.row_count_surprise", "events.price_cents_min"} <= set(refusal.value.rules)


def test_a_mart_without_a_row_is_no_feed(table_of):
    table_of("user_features")
    with pytest.raises(DataQualityError) as refusal:
        check_day(["user_features"], DAY, Settings())
    assert type(refusal.value) is DataQualityError


def test_a_shop_that_never_stated_a_user_has_no_list_to_judge(table_of):
    table = table_of("events")
    write_day(table, DAY, good_day("events", DAY))
    users = resolve(["simulated.users"], Settings())[0]
    write_day(users, DAY, [])
    check_day(["landed"], DAY, Settings())
    write_day(users, DAY - timedelta(days=1), good_day("users", DAY))
    with pytest.raises(DataQualityError, match=r"simulated\.users .*row_count"):
        check_day(["landed"], DAY, Settings())


def test_refused_rows_are_judged_with_the_accepted_ones(table_of):
    table = table_of("judged_events")
    rows = good_day("judged_events", DAY)
    write_day(table, DAY, [row | {"reason": "bot"} for row in rows[:12]] + rows[12:])
    assert check_day(["events"], DAY, Settings()).rows_in == 24
    write_day(table, DAY, [row | {"reason": "unknown_item"} for row in rows[:12]] + rows[12:])
    with pytest.raises(DataQualityError, match="unknown_item_share"):
        check_day(["events"], DAY, Settings())


def test_a_shop_of_which_nothing_landed_is_refused(home):
    with pytest.raises(DataQualityError, match=r"simulated\.events"):
        check_day(["landed"], DAY, Settings())


def test_a_day_on_which_nobody_came_to_the_storefront_is_an_ordinary_day(storefront):
    check_day(["storefront.events"], DAY, Settings())
    write_day(storefront, DAY, [])
    check_day(["storefront.events"], DAY, Settings())


def test_a_storefront_day_with_impossible_prices_is_refused(storefront):
    write_day(storefront, DAY, [row | {"quantity": 10**6} for row in good_day("events", DAY)])
    with pytest.raises(DataQualityError, match="quantity_max"):
        check_day(["storefront.events"], DAY, Settings())


def test_a_weekday_that_was_closed_four_weeks_running_may_be_empty(home):
    table = resolve(["online_retail.transactions"], Settings())[0]
    saturday = saturday_closed(table, weeks=4)
    check_day([table.name], saturday, Settings())


def test_an_empty_day_that_is_not_known_to_be_closed_is_refused(home):
    table = resolve(["online_retail.transactions"], Settings())[0]
    saturday = saturday_closed(table, weeks=3)
    with pytest.raises(DataQualityError, match="row_count"):
        check_day([table.name], saturday, Settings())
    with pytest.raises(DataQualityError, match="row_count"):
        check_day([table.name], saturday + timedelta(days=1), Settings())


def test_a_catalog_that_did_not_change_needs_no_snapshot(table_of):
    table_of("items")
    assert check_day(["simulated.items"], DAY, Settings()).rows_in == 0


def write_history(table, days: int, odd: int) -> None:
    """Days of a shop, the last ``odd`` of them with a slipped comma."""
    for n in range(days):
        day = FIRST + timedelta(days=n)
        price = 20_000_000 if n >= days - odd else 250
        rows = [row | {"unit_price_cents": price} for row in good_day("events", day, rows=2)]
        write_day(table, day, [rows[0] | {"unit_price_cents": 250}, rows[1]])


def test_a_history_lists_an_odd_day_and_refuses_many(home):
    table = resolve(["simulated.events"], Settings())[0]
    write_history(table, days=100, odd=1)
    receipt = check_history(["simulated.events"], Settings())
    assert receipt.rows_in == 200
    assert "2026-04-10" in receipt.details["odd_days"]["simulated.events"][0]
    write_history(table, days=100, odd=2)
    with pytest.raises(DataQualityError, match="price_cents_max"):
        check_history(["simulated.events"], Settings())


def test_a_short_history_tolerates_nothing(home):
    table = resolve(["simulated.events"], Settings())[0]
    write_history(table, days=10, odd=1)
    with pytest.raises(DataQualityError, match="2026-01-10"):
        check_history(["simulated.events"], Settings())


def test_a_name_that_is_no_table_is_refused_with_the_choices(home):
    with pytest.raises(BadInputError, match=r"'sales'.*simulated\.events"):
        check_day(["sales"], DAY, Settings())


def test_a_file_that_is_no_parquet_is_said(table_of):
    table = table_of("events")
    folder = table.folder / f"event_date={DAY}"
    folder.mkdir()
    (folder / "part.parquet").write_text("not parquet")
    with pytest.raises(BadInputError, match=r"simulated\.events cannot be read"):
        check_day(["simulated.events"], DAY, Settings())


@pytest.mark.slow
def test_at_most_one_in_a_hundred_real_days_is_refused(shared, home):
    """Online Retail as it is, 604 days: the bounds were chosen with these days."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    from domain.schemas import LANDED

    folder = shared / "data" / "online_retail"
    table = resolve(["online_retail.transactions"], Settings())[0]
    lines = duckdb.sql(
        f"""
        SELECT CAST(row_number() OVER () AS VARCHAR) AS line_id, invoice_no, stock_code,
            description, quantity, invoiced_at, unit_price,
            CAST(customer_id AS VARCHAR) AS customer_id, country
        FROM (
            SELECT DISTINCT * FROM (
                SELECT * FROM '{folder}/transactions_2009_2010.parquet'
                UNION ALL BY NAME SELECT * FROM '{folder}/transactions_2010_2011.parquet'
            )
        ) ORDER BY invoiced_at
        """
    ).to_arrow_table()
    schema = LANDED["online_retail"]["transactions"]
    schema = pa.schema([field.with_nullable(True) for field in schema])
    lines = lines.select(schema.names).cast(schema)
    days = pa.compute.value_counts(lines["invoiced_at"].cast(pa.timestamp("us")).cast(pa.date32()))
    start = 0
    for day, count in zip(days.field("values"), days.field("counts"), strict=True):
        target = table.folder / f"event_date={day}"
        target.mkdir(parents=True)
        pq.write_table(lines.slice(start, count.as_py()), target / "part.parquet")
        start += count.as_py()
    receipt = check_history(["online_retail.transactions"], Settings())
    assert receipt.rows_in == 1_033_035
    odd = " ".join(receipt.details["odd_days"]["online_retail.transactions"])
    # Five of 604, and docs/data-rules.md says what each was.
    assert set(re.findall(r"\d{4}-\d{2}-\d{2}", odd)) == set(REFUSED_REAL_DAYS)
    page = (REPOSITORY / "docs" / "data-rules.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d{4}-\d{2}-\d{2}) \|", page, re.M) == REFUSED_REAL_DAYS
    for day in REFUSED_REAL_DAYS:
        with pytest.raises(DataQualityError):
            check_day(["online_retail.transactions"], date.fromisoformat(day), Settings())
