"""What happened to an item lately, counted over whole UTC days (dbt model ``item_features``).

The ttl is that of ``user_features``, for the same reason: no window is longer than 90 days.
"""

from datetime import timedelta

from entities import item
from feast import FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, UnixTimestamp

from domain.settings import Settings

item_features_source = FileSource(
    name="item_features_source",
    path=str(Settings().marts / "item_features" / "event_date=*" / "part.parquet"),
    file_format=ParquetFormat(),
    timestamp_field="event_timestamp",
)

item_features = FeatureView(
    name="item_features",
    entities=[item],
    ttl=timedelta(days=91),
    schema=[
        Field(name="impression_count_7d", dtype=Int64),
        Field(name="click_count_7d", dtype=Int64),
        Field(name="click_count_30d", dtype=Int64),
        Field(name="add_to_cart_count_30d", dtype=Int64),
        Field(name="purchase_count_7d", dtype=Int64),
        Field(name="purchase_count_30d", dtype=Int64),
        Field(name="purchase_count_90d", dtype=Int64),
        Field(name="purchase_user_count_7d", dtype=Int64, description="Distinct users who bought."),
        Field(name="purchase_user_count_30d", dtype=Int64),
        Field(name="return_count_90d", dtype=Int64),
        Field(name="price_mean_30d", dtype=Float64, description="Cents; null without a purchase."),
        Field(name="first_sold_timestamp", dtype=UnixTimestamp, description="Whole seconds."),
    ],
    source=item_features_source,
    description="An item's counts over windows that end with event_date.",
)
