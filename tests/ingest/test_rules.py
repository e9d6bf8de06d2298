from datetime import UTC, date, datetime

import polars as pl
import pytest

from domain.schemas import LANDED
from ingest import rules
from ingest.raw import with_own_columns
from ingest.sift import judge

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVENT = {"event_type": "click", "event_timestamp": "2026-05-31", "user_id": "u", "item_id": "i"}
LINE = {
    "invoice_no": "536365",
    "stock_code": "85123A",
    "quantity": "6",
    "invoiced_at": "12/1/2010 8:26",
    "unit_price": "2.55",
}
ITEM = {"item_id": "i", "title": "Lamp"}


def reason(source, table, row):
    schema = LANDED[source][table]
    frame = with_own_columns(pl.DataFrame([row], infer_schema_length=None), schema)
    judged = judge(frame, table=table, schema=schema, now=NOW)
    return judged.rows["reason"].item()


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"_text": "{half a li"}, "unreadable_record"),
        ({"user_id": "u\x00"}, "nul_byte"),
        ({"query_text": "x" * 10_001}, "text_too_long"),
        ({"event_timestamp": "31.05.2026"}, "unparsable_timestamp"),
        ({"quantity": "many"}, "unparsable_number"),
        ({"quantity": "1.5"}, "unparsable_number"),
        ({"quantity": str(2**31)}, "unparsable_number"),
        ({"propensity": "nan"}, "unparsable_number"),
        ({"user_id": " "}, "missing_value"),
        ({"event_timestamp": None}, "missing_value"),
        ({"event_timestamp": "2026-06-01T13:00:01Z"}, "future_timestamp"),
        ({"_arrived": date(2026, 5, 30)}, "future_timestamp"),
        ({"event_timestamp": "1989-12-31"}, "implausible_past"),
        ({"event_type": "Click"}, "unknown_event_type"),
        ({"item_id": None}, "missing_item"),
        ({"quantity": "-1"}, "negative_quantity"),
        ({"unit_price_cents": "-1"}, "negative_price"),
        ({"position": "0"}, "position_below_one"),
        ({"propensity": "0"}, "propensity_out_of_range"),
        ({"propensity": "1.01"}, "propensity_out_of_range"),
    ],
)
def test_an_event_with_one_thing_wrong_is_set_aside_for_that_reason(broken, name):
    assert reason("files", "events", EVENT | broken) == name


@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"event_timestamp": "2026-06-01T12:59:59Z"},  # within the clocks' hour of grace
        {"_arrived": date(2026, 5, 31)},
        {"query_text": "x" * 10_000},
        {"event_type": "search", "item_id": None},
        {"quantity": "0"},
        {"quantity": "2.0"},
        {"propensity": "1"},
        {"position": "1"},
        {"event_timestamp": "2026-05-31T23:30:00-00:30"},
    ],
)
def test_an_event_at_the_edge_of_a_rule_is_fit(fine):
    assert reason("files", "events", EVENT | fine) is None


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"quantity": "six"}, "unparsable_number"),
        ({"unit_price": "free"}, "unparsable_number"),
        ({"invoiced_at": "13/13/2010 8:26"}, "unparsable_timestamp"),
        ({"stock_code": None}, "missing_value"),
        ({"invoiced_at": "12/1/2030 8:26"}, "future_timestamp"),
    ],
)
def test_an_invoice_line_that_cannot_be_typed_is_set_aside(broken, name):
    assert reason("online_retail", "transactions", LINE | broken) == name


@pytest.mark.parametrize(
    "dirt",
    [
        {"invoice_no": "C536365", "quantity": "-6"},
        {"unit_price": "0"},
        {"unit_price": "-11062.06"},
        {"customer_id": None},
        {"stock_code": "BANK CHARGES"},
        {"description": None},
    ],
)
def test_the_real_shops_own_dirt_lands_as_it_is(dirt):
    assert reason("online_retail", "transactions", LINE | dirt) is None


def test_items_need_a_title_and_a_price_that_is_not_negative():
    assert reason("files", "items", ITEM) is None
    assert reason("files", "items", ITEM | {"title": ""}) == "missing_value"
    assert reason("files", "items", ITEM | {"price_cents": "-1"}) == "negative_price"
    assert (
        reason("files", "items", ITEM | {"available_from_date": "soon"}) == "unparsable_timestamp"
    )


def test_every_rule_says_why_in_its_docstring():
    assert all(rule.__doc__ for rule in rules.RULES)
    assert len(set(rules.NAMES)) == len(rules.NAMES)
