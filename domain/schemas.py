"""The tables at the borders, as Arrow schemas: what is landed, published, and learned from.

All timestamps are UTC with microseconds: the DuckDB offline store fails on nanoseconds, and naive
timestamps would be read in the machine's zone. ``event_date`` is a folder (hive partition) in the
lake and in the marts, and a column wherever a table is read.
"""

from types import MappingProxyType
from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_strings: Final = pa.list_(pa.string())

EVENTS: Final = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("event_timestamp", TIMESTAMP, nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("surface", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("query_text", pa.string()),
        pa.field("quantity", pa.int32()),
        pa.field("unit_price_cents", pa.int64()),
        pa.field("propensity", pa.float64()),
        pa.field("source", pa.string(), nullable=False),
    ]
)

LANDED_EVENTS: Final = pa.schema([field for field in EVENTS if field.name != "source"])

LANDED_USERS: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("segment", pa.string()),
        pa.field("country", pa.string()),
        pa.field("signup_date", pa.date32()),
    ]
)

LANDED_ITEMS: Final = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("price_cents", pa.int64()),
        pa.field("image_url", pa.string()),
        pa.field("available_from_date", pa.date32()),
        pa.field("available_until_date", pa.date32()),
    ]
)

LANDED_TRANSACTIONS: Final = pa.schema(
    [
        pa.field("line_id", pa.string(), nullable=False),
        pa.field("invoice_no", pa.string(), nullable=False),
        pa.field("stock_code", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("quantity", pa.int32(), nullable=False),
        pa.field("invoiced_at", TIMESTAMP, nullable=False),
        pa.field("unit_price", pa.float64(), nullable=False),
        pa.field("customer_id", pa.string()),
        pa.field("country", pa.string()),
    ]
)

_OWN_TABLES: Final = MappingProxyType(
    {"events": LANDED_EVENTS, "users": LANDED_USERS, "items": LANDED_ITEMS}
)

LANDED: Final = MappingProxyType(
    {
        "simulated": _OWN_TABLES,
        "files": _OWN_TABLES,
        "online_retail": MappingProxyType({"transactions": LANDED_TRANSACTIONS}),
        "storefront": MappingProxyType({"events": LANDED_EVENTS}),
    }
)
"""source → table → schema of ``lake/<source>/<table>/event_date=D/part.parquet``."""

USERS: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("segment", pa.string()),
        pa.field("country", pa.string()),
        pa.field("signup_date", pa.date32()),
    ]
)

ITEMS: Final = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("price_cents", pa.int64()),
        pa.field("image_url", pa.string()),
        pa.field("available_from_date", pa.date32()),
        pa.field("available_until_date", pa.date32()),
    ]
)

INTERACTIONS: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
        pa.field("event_timestamp", TIMESTAMP, nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("quantity", pa.int32()),
        pa.field("unit_price_cents", pa.int64()),
    ]
)

SESSIONS: Final = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
        pa.field("started_timestamp", TIMESTAMP, nullable=False),
        pa.field("ended_timestamp", TIMESTAMP, nullable=False),
        pa.field("event_count", pa.int64(), nullable=False),
        pa.field("click_count", pa.int64(), nullable=False),
        pa.field("purchase_count", pa.int64(), nullable=False),
    ]
)

USER_FEATURE_TYPES: Final = MappingProxyType(
    {
        "click_count_7d": pa.int64(),
        "click_count_30d": pa.int64(),
        "add_to_cart_count_30d": pa.int64(),
        "purchase_count_7d": pa.int64(),
        "purchase_count_30d": pa.int64(),
        "purchase_count_90d": pa.int64(),
        "purchase_item_count_90d": pa.int64(),
        "purchase_day_count_90d": pa.int64(),
        "return_count_90d": pa.int64(),
        "spend_cents_90d": pa.int64(),
        "price_mean_90d": pa.float64(),
        "last_interaction_timestamp": TIMESTAMP,
    }
)
"""Windows of whole UTC days that end with ``event_date``. ``price_mean_90d`` is in cents: the mean
unit price over purchase events; null without one."""

ITEM_FEATURE_TYPES: Final = MappingProxyType(
    {
        "impression_count_7d": pa.int64(),
        "click_count_7d": pa.int64(),
        "click_count_30d": pa.int64(),
        "add_to_cart_count_30d": pa.int64(),
        "purchase_count_7d": pa.int64(),
        "purchase_count_30d": pa.int64(),
        "purchase_count_90d": pa.int64(),
        "purchase_user_count_7d": pa.int64(),
        "purchase_user_count_30d": pa.int64(),
        "return_count_90d": pa.int64(),
        "price_mean_30d": pa.float64(),
        "first_sold_timestamp": TIMESTAMP,
    }
)

USER_HISTORY_TYPES: Final = MappingProxyType(
    {
        "history_item_ids": _strings,
        "bought_item_ids": _strings,
        "bought_item_weights": pa.list_(pa.float32()),
    }
)
"""``history_item_ids``: the last 50 interactions, one per item and day, oldest → newest.
``bought_item_ids``: every item ever bought, last bought first, item_id breaking ties, the first
2,000. ``bought_item_weights``: same order; Σ over the days it was bought of
0.5 ** (days before this row's event_date / 90)."""

HISTORY_LENGTH: Final = 50
BOUGHT_LENGTH: Final = 2_000
BOUGHT_HALF_LIFE_DAYS: Final = 90


def _feature_table(entity: str, types: MappingProxyType[str, pa.DataType]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(entity, pa.string(), nullable=False),
            pa.field("event_date", pa.date32(), nullable=False),
            # The last microsecond of event_date: strictly before any moment that may use the row.
            pa.field("event_timestamp", TIMESTAMP, nullable=False),
            *(pa.field(name, kind) for name, kind in types.items()),
        ]
    )


USER_FEATURES: Final = _feature_table("user_id", USER_FEATURE_TYPES)
ITEM_FEATURES: Final = _feature_table("item_id", ITEM_FEATURE_TYPES)
USER_HISTORY: Final = _feature_table("user_id", USER_HISTORY_TYPES)

RETRIEVAL_EXAMPLES: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
        pa.field("event_timestamp", TIMESTAMP, nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("is_purchase", pa.bool_(), nullable=False),
    ]
)
"""Grain: user × item × day; the strongest weight of the day. ``is_purchase``: bought that day."""

RANKING_EXAMPLES: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
        pa.field("event_timestamp", TIMESTAMP, nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("is_impressed", pa.bool_(), nullable=False),
        pa.field("propensity", pa.float64()),
    ]
)
"""Grain: user × item × day. ``label``: 2 bought, 1 clicked or carted, 0 shown and left alone.
``is_impressed``: it was shown that day (else it is a purchase in a shop without impressions)."""

MARTS: Final = MappingProxyType(
    {
        "events": EVENTS,
        "users": USERS,
        "items": ITEMS,
        "interactions": INTERACTIONS,
        "sessions": SESSIONS,
        "user_features": USER_FEATURES,
        "item_features": ITEM_FEATURES,
        "user_history": USER_HISTORY,
        "retrieval_examples": RETRIEVAL_EXAMPLES,
        "ranking_examples": RANKING_EXAMPLES,
    }
)
"""table → schema of what dbt publishes to ``marts/<table>/event_date=D/part.parquet``
(``users`` and `items``: one snapshot a day, whole)."""

RECOMMENDATIONS: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
    ]
)
