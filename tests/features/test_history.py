"""Feast's join and our as-of join must agree; what was not known yet must not be seen."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import FileSource
from feast.data_format import DeltaFormat

from domain.schemas import TIMESTAMP
from domain.settings import Settings
from features.history import point_in_time
from features.offline import AsOfDuckDBOfflineStore
from features.quiet import quiet
from features.store import apply, open_store

DAY = date(2011, 12, 1)


def moments(*values: datetime) -> pa.Array:
    return pa.array(values, TIMESTAMP)


def at(day: int, hour: int = 9, month: int = 12) -> datetime:
    return datetime(2011, month, day, hour, tzinfo=UTC)


@pytest.fixture
def two_days(publish) -> Settings:
    publish("user_features", DAY, [{"user_id": "u1", "click_count_7d": 1}])
    publish("user_features", date(2011, 12, 3), [{"user_id": "u1", "click_count_7d": 3}])
    publish("user_history", DAY, [{"user_id": "u1", "history_item_ids": ["i1"]}])
    publish("item_features", DAY, [{"item_id": "i1", "click_count_7d": 7}])
    settings = Settings()
    apply(settings)
    return settings


def clicks_at(settings: Settings, *asked: datetime) -> list:
    entities = pa.table({"user_id": ["u1"] * len(asked), "event_timestamp": moments(*asked)})
    return point_in_time(settings, entities, service="ranking")["click_count_7d"].to_pylist()


def test_a_day_is_known_from_the_next_midnight_on(two_days):
    last_moment = datetime(2011, 12, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    asked = [at(1), last_moment, at(2, 0), at(3, 23), at(4, 0)]
    assert clicks_at(two_days, *asked) == [None, None, 1, 1, 3]


def test_a_value_is_true_for_91_days_and_history_forever(two_days):
    # The row of December 3 stands at its last microsecond: 91 days later is March 3's (2012).
    true, expired = datetime(2012, 3, 3, 23, tzinfo=UTC), datetime(2012, 3, 4, tzinfo=UTC)
    assert clicks_at(two_days, true, expired) == [3, None]
    entities = pa.table({"user_id": ["u1"], "event_timestamp": moments(datetime(2031, 1, 1))})
    history = point_in_time(two_days, entities, service="retrieval")
    assert history["history_item_ids"].to_pylist() == [["i1"]]


def test_rows_keep_their_order_columns_and_number(two_days):
    entities = pa.table(
        {
            "item_id": ["i1", "nobody", "i1"],
            "user_id": ["nobody", "u1", "u1"],
            "label": [5, 6, 7],
            "event_timestamp": moments(at(5), at(5), at(2)),
        }
    )
    joined = point_in_time(two_days, entities, service="ranking")
    assert joined["label"].to_pylist() == [5, 6, 7]
    assert joined["user_features__click_count_7d"].to_pylist() == [None, 3, 1]
    assert joined["item_features__click_count_7d"].to_pylist() == [7, None, 7]
    assert joined["user_history__history_item_ids"].to_pylist() == [None, ["i1"], ["i1"]]


def test_no_rows_give_no_rows_with_every_column(two_days):
    entities = pa.table({"user_id": pa.array([], pa.string()), "event_timestamp": moments()})
    joined = point_in_time(two_days, entities, service="retrieval")
    assert joined.num_rows == 0
    assert "history_item_ids" in joined.column_names


def test_request_features_are_those_of_the_on_demand_view(publish):
    last = datetime(2011, 12, 1, 12, tzinfo=UTC)
    row = {"user_id": "u1", "price_mean_90d": 150.0, "last_interaction_timestamp": last}
    publish("user_features", DAY, [row])
    publish("user_history", DAY, [{"user_id": "u1"}])
    publish("item_features", DAY, [{"item_id": "i1"}])
    settings = Settings()
    apply(settings)
    entities = pa.table(
        {
            "user_id": ["u1", "nobody"],
            "item_id": ["i1", "i1"],
            "item_price_cents": pa.array([300, 300], pa.int64()),
            "event_timestamp": moments(at(3, 0), at(3, 0)),
        }
    )
    joined = point_in_time(settings, entities, service="ranking")
    assert joined["request_features__price_ratio"].to_pylist() == [2.0, 1.0]
    assert joined["request_features__days_since_last_interaction"].to_pylist() == [1.5, None]


def test_our_join_gives_what_feasts_own_join_gives(shop, monkeypatch):
    """Feast's DuckDB store as it comes, against ours, on random moments."""
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStore

    apply(shop)
    store = open_store(shop)
    rng = np.random.default_rng(3)
    asked = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, 45, 300)],
            "item_id": [f"i{n}" for n in rng.integers(0, 22, 300)],
            "event_timestamp": pd.to_datetime(
                [at(1) + timedelta(minutes=int(m)) for m in rng.integers(0, 12_000, 300)]
            ).astype("datetime64[us, UTC]"),
            "row": range(300),
        }
    )
    refs = [
        "user_features:price_mean_90d",
        "user_features:last_interaction_timestamp",
        "user_history:bought_item_ids",
        "item_features:click_count_7d",
    ]

    def joined() -> list[dict]:
        with quiet():
            job = store.get_historical_features(asked, refs)
            return job.to_arrow().sort_by("row").select([*asked.columns[:2], *NAMES]).to_pylist()

    ours = joined()
    store._get_provider()._offline_store = DuckDBOfflineStore()
    theirs = joined()
    assert ours == theirs
    assert any(row["bought_item_ids"] for row in ours)


NAMES = ["row", "price_mean_90d", "last_interaction_timestamp", "bought_item_ids", "click_count_7d"]


def test_a_row_that_is_asked_twice_is_answered_twice(two_days):
    assert clicks_at(two_days, at(5), at(5), at(2)) == [3, 3, 1]
    asked = pd.DataFrame({"user_id": ["u1"] * 3, "event_timestamp": [at(5), at(5), at(2)]})
    with quiet():
        job = open_store(two_days).get_historical_features(asked, ["user_features:click_count_7d"])
        assert sorted(job.to_df()["click_count_7d"]) == [1, 3, 3]


def test_what_is_no_parquet_file_is_refused(two_days):
    store = open_store(two_days)
    view = store.get_feature_view("user_features")
    view.batch_source = FileSource(
        path="rows", file_format=DeltaFormat(), timestamp_field="event_timestamp"
    )
    asked = pd.DataFrame({"user_id": ["u1"], "event_timestamp": [at(5)]})
    with pytest.raises(ValueError, match="user_features: expected Parquet files"):
        AsOfDuckDBOfflineStore.get_historical_features(
            store.config,
            [view],
            ["user_features:click_count_7d"],
            asked,
            store.registry,
            store.project,
        )
