from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.events import Source
from domain.schemas import LANDED
from ingest.landed_events import COLUMNS, landed_events

DAY = date(2011, 2, 1)
NOON = datetime(2011, 2, 1, 12, tzinfo=UTC)


def land(lake, source: str, table: str, rows: list[dict]) -> None:
    schema = LANDED[source][table]
    folder = lake / source / table / f"event_date={DAY}"
    folder.mkdir(parents=True)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / "part.parquet")


def line(line_id: str, invoice_no: str, quantity: int, unit_price: float) -> dict:
    return {
        "line_id": line_id,
        "invoice_no": invoice_no,
        "stock_code": "90001",
        "quantity": quantity,
        "invoiced_at": NOON,
        "unit_price": unit_price,
        "customer_id": "20001",
    }


def test_an_invoice_line_is_a_purchase_or_takes_one_back(tmp_path):
    lines = [line("a", "536365", 6, 2.55), line("b", "C536379", -1, 27.5)]
    land(tmp_path, "online_retail", "transactions", lines)
    events = landed_events(tmp_path, Source.ONLINE_RETAIL).sort("event_id")
    assert events.columns == list(COLUMNS)
    assert events.rows() == [
        ("a", "purchase", NOON, "20001", "90001", 6, 255),
        ("b", "return", NOON, "20001", "90001", 1, 2750),
    ]


@pytest.mark.parametrize(
    ("pounds", "cents"), [(0.285, 29), (1.005, 101), (0.001, 0), (8142.75, 814275)]
)
def test_half_a_cent_goes_away_from_zero_whatever_the_float_is(tmp_path, pounds, cents):
    """0.285 * 100 is 28.499999999999996 as a float."""
    land(tmp_path, "online_retail", "transactions", [line("a", "1", 1, pounds)])
    assert landed_events(tmp_path, Source.ONLINE_RETAIL)["unit_price_cents"].to_list() == [cents]


def test_a_shop_that_speaks_our_words_is_taken_at_its_word(tmp_path):
    event = {"event_id": "e1", "event_type": "click", "event_timestamp": NOON, "user_id": "u1"}
    land(tmp_path, "simulated", "events", [event])
    assert landed_events(tmp_path, Source.SIMULATED).rows() == [
        ("e1", "click", NOON, "u1", None, None, None)
    ]


def test_where_nothing_was_landed_nothing_happened(tmp_path):
    events = landed_events(tmp_path, Source.STOREFRONT)
    assert (len(events), events.columns) == (0, list(COLUMNS))
    assert events.schema == dict.fromkeys(COLUMNS, pl.Null)
