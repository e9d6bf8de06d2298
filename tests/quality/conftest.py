"""Invented tables: two weeks of good days for every suite, written where the real ones stand."""

import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.schemas import LANDED, LANDED_EVENTS, MARTS
from domain.settings import Settings
from quality.tables import Table, resolve

with warnings.catch_warnings():
    # Great Expectations imports a module that Python deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations  # noqa: F401

FIRST = date(2026, 1, 1)
DAY = FIRST + timedelta(days=13)
"""The judged day; the thirteen before it are good."""


def _at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=UTC)


def _event(day: date, n: int) -> dict:
    return {
        "event_id": f"{day}-{n}",
        "event_type": "purchase",
        "event_timestamp": _at(day, 18, n),
        "user_id": f"u{n}",
        "item_id": "i1",
        "session_id": f"s{n}",
        "request_id": f"r{n}",
        "surface": "search",
        "position": 1,
        "query_text": "mug",
        "quantity": 1,
        "unit_price_cents": 250,
        "propensity": 0.5,
    }


def _transaction(day: date, n: int) -> dict:
    return {
        "line_id": f"{day}-{n}",
        "invoice_no": f"{day}-{n}",
        "stock_code": "A",
        "quantity": 2,
        "description": "A red mug",
        "invoiced_at": _at(day, 18, n),
        "unit_price": 2.5,
        "customer_id": f"u{n}",
        "country": "France",
    }


def _user_features(day: date, n: int) -> dict:
    return {
        "user_id": f"u{n}",
        "purchase_count_90d": 4,
        "click_count_30d": 9,
        "spend_cents_90d": 1_000,
        "price_mean_90d": 250.0,
        "last_interaction_timestamp": _at(day, 12),
    }


def _item_features(day: date, n: int) -> dict:
    return {
        "item_id": f"i{n}",
        "impression_count_7d": 20,
        "purchase_count_30d": 3,
        "purchase_count_90d": 4,
        "purchase_user_count_30d": 2,
        "price_mean_30d": 250.0,
        "first_sold_timestamp": _at(FIRST, 12),
    }


GOOD: dict[str, Callable[[date, int], dict]] = {
    "events": _event,
    "transactions": _transaction,
    "users": lambda day, n: {
        "user_id": f"u{n}",
        "segment": "new",
        "country": "FR",
        "signup_date": FIRST,
    },
    "items": lambda day, n: {
        "item_id": f"i{n}",
        "title": "A red mug",
        "description": "It is red.",
        "category": "mugs",
        "brand": "Rood",
        "price_cents": 250,
        "image_url": "red.jpg",
        "available_from_date": FIRST,
    },
    "judged_events": lambda day, n: _event(day, n) | {"source": "simulated"},
    "user_features": _user_features,
    "item_features": _item_features,
    "user_history": lambda day, n: {
        "user_id": f"u{n}",
        "history_item_ids": ["i1", "i2"],
        "bought_item_ids": ["i1"],
        "bought_item_weights": [1.0],
    },
    "retrieval_examples": lambda day, n: {
        "user_id": f"u{n}",
        "item_id": "i1",
        "weight": 5.0,
        "is_purchase": True,
    },
    "ranking_examples": lambda day, n: {
        "user_id": f"u{n}",
        "item_id": "i1",
        "label": 1,
        "is_impressed": True,
        "propensity": 0.5,
    },
}
REJECTED = pa.schema(
    [("event_date", pa.date32()), ("source", pa.string()), ("reason", pa.string())]
)
NAMES = {
    "events": "simulated.events",
    "transactions": "online_retail.transactions",
    "users": "simulated.users",
    "items": "simulated.items",
    "judged_events": "events",
}


def good_day(suite: str, day: date, rows: int = 24) -> list[dict]:
    return [GOOD[suite](day, n) for n in range(rows)]


def _schema(name: str) -> pa.Schema:
    source, _, table = name.partition(".")
    return LANDED[source][table] if table else MARTS[name]


def write_day(table: Table, day: date, rows: list[dict]) -> None:
    """Land or publish one day; columns that a row does not name are null.

    A row with a reason stands among the rejected ones.
    """
    if table.beside:
        rejected = [row for row in rows if row.get("reason")]
        _write(table.beside[0], day, rejected, REJECTED)
        rows = [row for row in rows if not row.get("reason")]
    _write(table.folder, day, rows, _schema(table.name))


def _write(root: Path, day: date, rows: list[dict], of: pa.Schema) -> None:
    end = datetime.combine(day, time.max, tzinfo=UTC)
    schema = pa.schema([field.with_nullable(True) for field in of])
    dated = [{"event_date": day, "event_timestamp": end, **row} for row in rows]
    folder = root / f"event_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(dated, schema=schema), folder / "part.parquet")


@pytest.fixture
def table_of(home: Path) -> Callable[[str], Table]:
    """The table of a suite, with thirteen good days."""

    def build(suite: str) -> Table:
        table = resolve([NAMES.get(suite, suite)], Settings())[0]
        for offset in range(13):
            day = FIRST + timedelta(days=offset)
            write_day(table, day, good_day(suite, day))
        return table

    return build


@pytest.fixture
def storefront(home: Path) -> Table:
    table = resolve(["storefront.events"], Settings())[0]
    assert _schema(table.name) == LANDED_EVENTS
    return table
