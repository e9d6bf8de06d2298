"""Every expectation of every suite lets a good day pass and stops a bad one: that one, by name."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from quality.context import judged_day
from quality.store import Expectations
from quality.suites import events, items, transactions, users
from tests.quality.conftest import DAY, GOOD, good_day, write_day

Rows = list[dict]
Spoil = Callable[[Rows], Rows]


def all_(**values: object) -> Spoil:
    """Every row of the day says so."""
    return lambda rows: [row | values for row in rows]


def one(**values: object) -> Spoil:
    """One row of the day says so."""
    return lambda rows: [rows[0] | values, *rows[1:]]


def few(**values: object) -> Spoil:
    """A quarter of the rows say so."""
    return lambda rows: [row | values if n % 4 == 0 else row for n, row in enumerate(rows)]


def most(**values: object) -> Spoil:
    """Three quarters of the rows say so."""
    return lambda rows: [row | values if n % 4 else row for n, row in enumerate(rows)]


def lost(suite: str, columns: Sequence[str], *, since: str) -> dict[tuple[str, str], Spoil]:
    """Each column is empty."""
    return {(suite, f"{name}_filled_share{since}"): all_(**{name: None}) for name in columns}


def times(factor: int) -> Spoil:
    """As many rows, all of new users or items."""

    def repeat(rows: Rows) -> Rows:
        ids = ("user_id", "item_id", "event_id", "line_id", "invoice_no", "customer_id")
        return [
            {key: f"{value}-{n}" if key in ids else value for key, value in row.items()}
            for n in range(factor)
            for row in rows
        ]

    return repeat


def only(count: int) -> Spoil:
    return lambda rows: rows[:count]


def nothing(rows: Rows) -> Rows:
    return []


MORNING = datetime.combine(DAY, datetime.min.time(), tzinfo=UTC) + timedelta(hours=9)

BAD: dict[tuple[str, str], Spoil] = {
    **{(suite, "row_count"): nothing for suite in GOOD},
    ("events", "row_count_surprise"): only(6),
    ("events", "user_count_to_usual"): all_(user_id="u1"),
    ("events", "price_cents_min"): one(unit_price_cents=-1),
    ("events", "price_cents_max"): one(unit_price_cents=10_000_001),
    ("events", "price_cents_median_to_usual"): most(unit_price_cents=25),
    ("events", "price_cents_upper_to_usual"): few(unit_price_cents=25_000),
    ("events", "quantity_max"): one(quantity=-100_001),
    ("events", "last_hour_change"): all_(event_timestamp=MORNING),
    **lost("events", events.OPTIONAL, since="_to_usual"),
    ("transactions", "row_count_surprise"): times(6),
    ("transactions", "lines_per_invoice_to_usual"): all_(invoice_no="1"),
    ("transactions", "negative_quantity_share"): all_(quantity=-2),
    ("transactions", "zero_price_share"): most(unit_price=0.0),
    ("transactions", "price_median_to_usual"): most(unit_price=0.25),
    ("transactions", "price_upper_to_usual"): few(unit_price=250.0),
    ("transactions", "price_min"): one(unit_price=-100_001.0),
    ("transactions", "price_max"): one(unit_price=100_001.0),
    ("transactions", "quantity_max"): one(quantity=100_001),
    ("transactions", "last_hour_change"): all_(invoiced_at=MORNING),
    **lost("transactions", transactions.OPTIONAL, since="_to_usual"),
    ("users", "row_count_to_last"): only(20),
    ("users", "new_user_share"): lambda rows: [r | {"user_id": "x" + r["user_id"]} for r in rows],
    ("users", "future_signup_share"): one(signup_date=date(2999, 1, 1)),
    **lost("users", users.OPTIONAL, since="_to_last"),
    ("items", "row_count_to_last"): times(3),
    ("items", "new_item_share"): lambda rows: [r | {"item_id": "x" + r["item_id"]} for r in rows],
    ("items", "new_category_share"): few(category="cups"),
    ("items", "price_cents_min"): one(price_cents=-1),
    ("items", "price_cents_max"): one(price_cents=10_000_001),
    ("items", "price_cents_median_to_last"): all_(price_cents=3),
    ("items", "title_length_mean"): all_(title="x"),
    **lost("items", items.OPTIONAL, since="_to_last"),
    ("judged_events", "unknown_item_share"): few(reason="unknown_item"),
    ("judged_events", "accepted_share_to_usual"): lambda rows: [
        rows[0],
        *(row | {"reason": "bot"} for row in rows[1:]),
    ],
    ("user_features", "row_count_to_usual"): times(21),
    ("user_features", "purchase_count_90d_min"): one(purchase_count_90d=-1),
    ("user_features", "purchase_count_90d_max"): one(purchase_count_90d=100_001),
    ("user_features", "click_count_30d_max"): one(click_count_30d=100_001),
    ("user_features", "purchase_count_90d_level_to_usual"): all_(purchase_count_90d=0),
    ("user_features", "spend_cents_90d_max"): one(spend_cents_90d=10_000_000_001),
    ("user_features", "price_mean_90d_min"): one(price_mean_90d=-1.0),
    ("user_features", "price_mean_90d_max"): one(price_mean_90d=1e8),
    ("item_features", "row_count_to_usual"): times(21),
    ("item_features", "impression_count_7d_max"): one(impression_count_7d=10_000_001),
    ("item_features", "purchase_count_90d_min"): one(purchase_count_90d=-1),
    ("item_features", "purchase_count_90d_max"): one(purchase_count_90d=1_000_001),
    ("item_features", "purchase_count_90d_level_to_usual"): all_(purchase_count_90d=0),
    ("item_features", "price_mean_30d_min"): one(price_mean_30d=-1.0),
    ("item_features", "price_mean_30d_max"): one(price_mean_30d=1e8),
    ("user_history", "row_count_to_usual"): times(11),
    ("user_history", "bought_length_max"): one(bought_item_ids=["i1"] * 2_001),
    ("user_history", "bought_length_mean_to_usual"): all_(bought_item_ids=[]),
    ("user_history", "weight_min"): one(bought_item_weights=[-0.1]),
    ("user_history", "weight_max"): one(bought_item_weights=[131.0]),
    ("retrieval_examples", "row_count_to_usual"): times(11),
    ("retrieval_examples", "weight_min"): one(weight=0.5),
    ("retrieval_examples", "weight_max"): one(weight=6.0),
    ("retrieval_examples", "purchase_share_change"): all_(is_purchase=False),
    ("retrieval_examples", "items_per_user"): lambda rows: rows[:1] * 501,
    ("ranking_examples", "row_count_to_usual"): times(11),
    ("ranking_examples", "label_mean_change"): all_(label=2),
    ("ranking_examples", "propensity_min"): one(propensity=0.00001),
    ("ranking_examples", "propensity_max"): one(propensity=1.5),
}


@pytest.mark.parametrize("suite", GOOD)
def test_a_good_day_meets_every_expectation(suite, table_of, home):
    table = table_of(suite)
    write_day(table, DAY, good_day(suite, DAY))
    judged = judged_day(table, DAY)
    # Each one is really judged: a measure that is unknown would pass as well.
    columns = [e.column for e in table.expectations if hasattr(e, "column")]
    assert judged[columns].notna().all(axis=None)
    assert Expectations(home / "quality").validate(table, judged, run=str(DAY)) == []


@pytest.mark.parametrize(("suite", "column"), BAD)
def test_a_bad_day_breaks_the_expectation_that_is_about_it(suite, column, table_of, home):
    table = table_of(suite)
    write_day(table, DAY, BAD[suite, column](good_day(suite, DAY)))
    breaks = Expectations(home / "quality").validate(table, judged_day(table, DAY), run=str(DAY))
    assert column in {broken.column for broken in breaks}
    assert {broken.days for broken in breaks} == {(str(DAY),)}


@pytest.mark.parametrize("suite", GOOD)
def test_a_suite_that_looked_at_no_day_fails(suite, table_of, home):
    table = table_of(suite)
    no_day = judged_day(table, DAY).iloc[:0]
    breaks = Expectations(home / "quality").validate(table, no_day, run="none")
    assert [b.expectation for b in breaks] == ["expect_table_row_count_to_be_between"]


def test_every_expectation_has_a_bad_day(table_of):
    columns = {
        (suite, expectation.column)
        for suite in GOOD
        for expectation in table_of(suite).expectations
        if hasattr(expectation, "column")
    }
    assert columns == set(BAD)


def test_every_suite_counts_rows_and_says_why(table_of):
    for suite in GOOD:
        table = table_of(suite)
        kinds = [type(expectation).__name__ for expectation in table.expectations]
        assert "ExpectTableRowCountToBeBetween" in kinds
        assert all(expectation.notes for expectation in table.expectations)
        assert len(table.why) > 100
