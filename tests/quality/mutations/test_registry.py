"""Every rule has a fault that is about it; what is asked of a delivery really changes it."""

from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl
import pytest

from domain.schemas import LANDED_EVENTS, LANDED_ITEMS, LANDED_USERS
from quality.mutations.kinds import Answer, Delivery, Where
from quality.mutations.registry import MUTATIONS, needing
from quality.tables import SUITES, measure_of, suite

DAY = date(2026, 1, 2)
KINDS = ("click", "view", "search", "purchase", "impression", "return", "add_to_cart")
ISSUE = {
    "null_user_ids", "null_item_ids", "same_id_twice", "same_content_under_a_new_id",
    "file_replayed", "events_of_tomorrow", "epoch_milliseconds", "negative_price",
    "cents_for_pounds", "quantity_of_a_billion", "orphan_items", "sixty_percent_missing",
    "empty_day", "ten_times_the_day", "renamed_column", "widened_type", "narrowed_moments",
    "new_category", "bot", "e_mail_in_a_query", "card_number_in_a_query", "file_cut",
    "decomposed_user_ids", "missing_feed",
}  # fmt: skip


def events(day: date) -> pl.DataFrame:
    rows = [
        {
            "event_id": f"{day}-{n}",
            "event_type": KINDS[n % len(KINDS)],
            "event_timestamp": datetime(
                day.year, day.month, day.day, 8 + n // 10, n % 10, tzinfo=UTC
            ),
            "user_id": f"ü{n % 9}",
            "item_id": f"i00{n % 5}",
            "query_text": "mug",
            "quantity": 1,
            "position": 1,
            "propensity": 0.5,
            "unit_price_cents": 100 + n,
        }
        for n in range(140)
    ]
    return pl.DataFrame(rows, schema=pl.DataFrame(LANDED_EVENTS.empty_table()).schema)


@pytest.fixture(scope="module")
def good() -> Delivery:
    items = [
        {"item_id": f"i00{n}", "title": "Café", "category": "mugs", "price_cents": 5,
         "available_from_date": DAY}
        for n in range(5)
    ]  # fmt: skip
    users = [{"user_id": f"ü{n}", "country": "FR"} for n in range(9)]
    tables = {
        "events": events(DAY),
        "items": pl.DataFrame(items, schema=pl.DataFrame(LANDED_ITEMS.empty_table()).schema),
        "users": pl.DataFrame(users, schema=pl.DataFrame(LANDED_USERS.empty_table()).schema),
    }
    return Delivery(DAY, tables, {"events": events(date(2026, 1, 1))})


def test_every_fault_that_was_asked_for_is_there():
    assert set(MUTATIONS) >= ISSUE


def test_every_expectation_has_a_fault_that_is_about_it():
    rules = {f"{name}.{measure_of(one)}" for name in SUITES for one in suite(name).EXPECTATIONS}
    assert {rule for rule in rules if not needing(rule)} == set()


def test_every_mutation_says_what_it_changes_and_how_much():
    for one in MUTATIONS.values():
        says = {
            Where.SOURCE: one.deliver,
            Where.LAKE: one.change,
            Where.MARTS: one.change,
            Where.MODEL: one.sql,
            Where.NOWHERE: one.table,
        }
        assert says[one.where], one.name
        assert one.plants, one.name
        is_counted = one.answer in (Answer.QUARANTINED, Answer.REJECTED, Answer.COUNTED)
        assert is_counted or one.count == 0, one.name


DELIVERIES = [
    name for name, one in MUTATIONS.items() if one.where is Where.SOURCE and one.shop == "files"
]


@pytest.mark.parametrize("name", DELIVERIES)
def test_a_delivery_is_not_the_good_one_and_the_good_one_stays_as_it_was(name, good):
    before = {table: rows.clone() for table, rows in good.tables.items()}
    deliver = MUTATIONS[name].deliver
    spoiled = deliver(good)
    assert all(rows.equals(before[table]) for table, rows in good.tables.items())
    parts = ("forms", "kept", "log", "files", "broken_line")
    assert any(getattr(spoiled, part) for part in parts) or any(
        not rows.equals(other := spoiled.tables.get(table, pl.DataFrame()))
        or rows.schema != other.schema
        for table, rows in good.tables.items()
    )


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in DELIVERIES
        if 0 < MUTATIONS[name].count <= 20 and name != "unreadable_record"
    ],
)
def test_as_many_rows_are_planted_as_are_said(name, good):
    one = MUTATIONS[name]
    spoiled = one.deliver(good)
    more = sum(len(rows) for rows in spoiled.tables.values())
    assert more - sum(len(rows) for rows in good.tables.values()) == one.count


def test_a_bot_clicks_fifty_times_a_second(good):
    bot = MUTATIONS["bot"].deliver(good).tables["events"].filter(pl.col("user_id") == "robot")
    assert bot["event_timestamp"].dt.truncate("1s").value_counts()["count"].to_list() == [50] * 10


def test_an_earlier_file_is_handed_over_again(good):
    again = MUTATIONS["file_replayed"].deliver(good)
    assert again.files["events_again"].equals(good.earlier["events"])
    assert replace(again, files={}) == replace(good, files={})
