"""What a user did lately, counted over windows of whole UTC days (dbt model ``user_features``).

dbt writes a row on each day on which a user's values changed: an event came, or one left a window.
The longest window is 90 days, so 91 days after a row nothing can be left in any window: that is
how old a value may be and still be true.
"""

from datetime import timedelta

from entities import user
from feast import FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, UnixTimestamp

from domain.settings import Settings

user_features_source = FileSource(
    name="user_features_source",
    path=str(Settings().marts / "user_features" / "event_date=*" / "part.parquet"),
    file_format=ParquetFormat(),
    timestamp_field="event_timestamp",
)

user_features = FeatureView(
    name="user_features",
    entities=[user],
    ttl=timedelta(days=91),
    schema=[
        Field(name="click_count_7d", dtype=Int64),
        Field(name="click_count_30d", dtype=Int64),
        Field(name="add_to_cart_count_30d", dtype=Int64),
        Field(name="purchase_count_7d", dtype=Int64),
        Field(name="purchase_count_30d", dtype=Int64),
        Field(name="purchase_count_90d", dtype=Int64),
        Field(name="purchase_item_count_90d", dtype=Int64, description="Distinct items bought."),
        Field(name="purchase_day_count_90d", dtype=Int64, description="Days with a purchase."),
        Field(name="return_count_90d", dtype=Int64),
        Field(name="spend_cents_90d", dtype=Int64),
        Field(name="price_mean_90d", dtype=Float64, description="Cents; null without a purchase."),
        Field(name="last_interaction_timestamp", dtype=UnixTimestamp, description="Whole seconds."),
    ],
    source=user_features_source,
    description="A user's counts over windows that end with event_date.",
)
