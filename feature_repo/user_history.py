"""What a user interacted with and ever bought (dbt model ``user_history``).

No ttl: what was bought stays bought, however long ago. Feast spells that ``timedelta(0)``.
"""

from datetime import timedelta

from entities import user
from feast import FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Array, Float32, String

from domain.settings import Settings

user_history_source = FileSource(
    name="user_history_source",
    path=str(Settings().marts / "user_history" / "event_date=*" / "part.parquet"),
    file_format=ParquetFormat(),
    timestamp_field="event_timestamp",
)

user_history = FeatureView(
    name="user_history",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(name="history_item_ids", dtype=Array(String), description="Oldest → newest."),
        Field(name="bought_item_ids", dtype=Array(String), description="Last bought first."),
        Field(name="bought_item_weights", dtype=Array(Float32), description="Order of the ids."),
    ],
    source=user_history_source,
    description="A user's last interactions and everything they ever bought.",
)
