"""The twins by hand: a judge must be judged too."""

from datetime import UTC, datetime

import polars as pl
import pytest

from stack.proof.brute_force import DAY, days_since, entity_acts, price_ratio, values

FIRST = 20_000  # A day since 1970: 2024-10-04.
NEWEST = FIRST + 500


def acts_of(*events: tuple, entity: str = "user_id"):
    """``events``: days after FIRST (fractions too), kind, partner, quantity, price."""
    rows = [
        {
            "event_timestamp": datetime.fromtimestamp(0, UTC),
            "at": round((FIRST + day) * DAY),
            "event_type": kind,
            "user_id": "me" if entity == "user_id" else partner,
            "item_id": partner if entity == "user_id" else "me",
            "quantity": quantity,
            "unit_price_cents": price,
        }
        for day, kind, partner, quantity, price in events
    ]
    moments = pl.col("at").cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(rows).with_columns(event_timestamp=moments)
    return entity_acts(frame, entity, {"me"})["me"]


def user(*events: tuple, seen: int, asked: int | None = None, view: str = "user_features"):
    asked = seen + 1 if asked is None else asked
    return values(view, acts_of(*events), seen=FIRST + seen, newest=NEWEST, asked=FIRST + asked)


def test_a_window_holds_its_last_day_whole_and_nothing_of_the_next():
    last, next_day = 1 - 1 / DAY, 1.0  # The last microsecond of day 0, the first moment of day 1.
    clicks = [(last, "click", "i1", None, None), (next_day, "click", "i1", None, None)]
    assert user(*clicks, seen=0)["click_count_7d"] == 1
    assert user(*clicks, seen=1)["click_count_7d"] == 2
    assert user(*clicks, seen=6)["click_count_7d"] == 2
    assert user(*clicks, seen=7)["click_count_7d"] == 1
    assert user(*clicks, seen=8)["click_count_7d"] == 0


def test_purchases_are_counted_summed_and_told_apart():
    bought = [
        (0.1, "purchase", "i1", 2, 300),
        (0.2, "purchase", "i1", 1, 500),
        (3.0, "purchase", "i2", 1, 100),
        (3.5, "return", "i2", 1, 100),
    ]
    found = user(*bought, seen=3)
    assert found["purchase_count_7d"] == 3
    assert found["purchase_item_count_90d"] == 2
    assert found["purchase_day_count_90d"] == 2
    assert found["return_count_90d"] == 1
    assert found["spend_cents_90d"] == 2 * 300 + 500 + 100
    assert found["price_mean_90d"] == (300 + 500 + 100) / 3
    assert found["last_interaction_timestamp"] == (FIRST + 3) * DAY  # A return is none.


def test_a_user_is_unknown_before_the_first_day_has_ended_and_when_the_last_row_is_too_old():
    click = (0.5, "click", "i1", None, None)
    assert user(click, seen=-1)["click_count_7d"] is None
    # The click makes rows on the days 0, 7, 30 and 90; the last is true for 91 days more.
    assert user(click, seen=180, asked=181)["click_count_30d"] == 0
    assert user(click, seen=181, asked=182)["click_count_30d"] is None


def test_after_the_newest_built_day_the_last_row_stands_until_it_expires():
    acts = acts_of((0.5, "click", "i1", None, None))
    true, expired = (
        values("user_features", acts, seen=FIRST + days - 1, newest=FIRST, asked=FIRST + days)
        for days in (91, 92)
    )
    assert true["click_count_7d"] == 1  # Built on day 0 and never again: nothing left its window.
    assert expired["click_count_7d"] is None


def test_a_history_is_one_item_a_day_oldest_first_and_what_was_bought_decays():
    acts = [
        (0.5, "click", "i2", None, None),
        (0.4, "click", "i9", None, None),
        (0.6, "purchase", "i9", 1, 100),
        (90.5, "purchase", "i1", 1, 100),
        (90.6, "click", "i9", None, None),
    ]
    found = user(*acts, seen=90, view="user_history")
    assert found["history_item_ids"] == ["i9", "i2", "i1", "i9"]
    assert found["bought_item_ids"] == ["i1", "i9"]
    assert found["bought_item_weights"] == [1.0, 0.5]  # Half after 90 days.
    # A weight is as of the row, and no row came since.
    assert user(*acts, seen=200, view="user_history") == found


def test_an_items_partners_are_users_and_its_first_sale_stays():
    acts = acts_of(
        (0.5, "impression", "u1", None, None),
        (1.5, "purchase", "u1", 1, 100),
        (1.6, "purchase", "u1", 1, 200),
        (2.5, "purchase", "u2", 1, 600),
        entity="item_id",
    )
    found = values("item_features", acts, seen=FIRST + 2, newest=NEWEST, asked=FIRST + 3)
    assert (found["purchase_user_count_7d"], found["impression_count_7d"]) == (2, 1)
    assert found["price_mean_30d"] == (100 + 200 + 600) / 3
    assert found["first_sold_timestamp"] == (FIRST + 1) * DAY + DAY // 2
    before = values("item_features", acts, seen=FIRST, newest=NEWEST, asked=FIRST + 1)
    assert before["first_sold_timestamp"] is None


@pytest.mark.parametrize("unknown", [None, 0, -5])
def test_a_ratio_without_two_prices_is_one(unknown):
    assert price_ratio(unknown, 100.0) == price_ratio(100, unknown) == 1.0
    assert price_ratio(300, 150.0) == 2.0


def test_days_since_something_that_never_was_are_unknown_and_never_negative():
    assert days_since(None, DAY) is None
    assert days_since(DAY, 2 * DAY + DAY // 2) == 1.5
    assert days_since(2 * DAY, DAY) == 0
