"""A real store whose features change under a running service, and come back."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureView, Field
from feast.types import Float32

import features.store
from bentos.recommender.schemas import RecommendRequest
from bentos.recommender.shop import Shop
from domain.errors import FeatureSchemaError
from domain.schemas import MARTS
from domain.settings import Settings
from features.materialize import materialize
from features.online import FeatureReader
from features.schema import feature_schema
from features.store import apply, load_definitions, open_store

pytestmark = pytest.mark.filterwarnings("ignore")  # Feast and what it brings along

DAY = date(2026, 3, 1)
ROWS = {
    "user_features": {"user_id": "anna", "price_mean_90d": 500.0},
    "user_history": {
        "user_id": "anna",
        "history_item_ids": ["i4", "i6"],
        "bought_item_ids": ["i6"],
        "bought_item_weights": [1.0],
    },
    "item_features": {"item_id": "i6", "click_count_7d": 7},
}


@pytest.fixture
def store_home(home: Path) -> Settings:
    """One user and one item, published and materialized."""
    stands = {"event_date": DAY, "event_timestamp": datetime.combine(DAY, datetime.max.time(), UTC)}
    for table, row in ROWS.items():
        folder = home / "marts" / table / f"event_date={DAY}"
        folder.mkdir(parents=True)
        rows = pa.Table.from_pylist([{**stands, **row}], schema=MARTS[table])
        pq.write_table(rows, folder / "part.parquet")
    materialize(Settings())
    return Settings()


@pytest.fixture
def running(store_home, shop_over, tmp_path) -> Shop:
    """A shop that was released with the features the store holds, as a bundle is: by address."""
    registry = tmp_path / "registry.db"
    shutil.copy(store_home.feast / "registry.db", registry)
    shop = shop_over(
        connect=lambda: FeatureReader(store_home.online_address, registry=registry),
        features=feature_schema(open_store(store_home)),
    )
    assert shop.pipeline.features.snapshot.stamp.version == 1
    return shop


@contextmanager
def defined_otherwise() -> Iterator[None]:
    """As long as it lasts, the user's usual price is defined with half the bits."""

    def definitions(settings):
        defined = load_definitions(settings)
        (view,) = [found for found in defined if found.name == "user_features"]
        fields = [field for field in view.features if field.name != "price_mean_90d"]
        other = FeatureView(
            name=view.name,
            entities=[found for found in defined if found.name == "user"],
            ttl=view.ttl,
            schema=[*fields, Field(name="price_mean_90d", dtype=Float32)],
            source=view.batch_source,
        )
        return [other, *(found for found in defined if found.name not in KNOWS_THE_VIEW)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features.store, "load_definitions", definitions)
        yield


KNOWS_THE_VIEW = ("user_features", "request_features", "ranking")


def ask(shop: Shop):
    return shop.recommend(RecommendRequest(user_id="anna", k=3), "request-1")


def is_ready(shop: Shop) -> bool:
    """What /readyz says of a service with this shop (test_service.py asks it over HTTP)."""
    from bentos.recommender import service

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "SHOPS", [shop])
        return service.Recommender.inner.__is_ready__(None)


def test_a_user_read_notices_other_features_before_the_next_refresh(running, store_home):
    assert not ask(running).is_degraded
    with defined_otherwise():
        materialize(store_home)
    answer = ask(running)
    assert answer.is_degraded
    assert "user_features.price_mean_90d: expected Float64, got Float32" in answer.degraded_reason
    assert [shown.item_id for shown in answer.items] == ["i1", "i2", "i3"]  # What is popular.
    assert not is_ready(running)


def test_from_the_change_of_a_definition_on_not_one_value_is_served(running, store_home):
    """Applied, nothing written yet: the next value to be read may already be the other one."""
    with defined_otherwise():
        apply(store_home)
    assert "price_mean_90d: expected Float64, got nothing" in ask(running).degraded_reason


def test_a_refresh_keeps_the_item_features_it_had_and_says_what_differs(running, store_home):
    memory = running.pipeline.features
    before = memory.snapshot
    with defined_otherwise():
        materialize(store_home)
    with pytest.raises(FeatureSchemaError, match=r"user_features\.price_mean_90d"):
        memory.refresh()
    assert memory.snapshot is before
    assert not is_ready(running)


def test_the_service_recovers_when_the_features_are_right_again(running, store_home):
    assert is_ready(running)
    with defined_otherwise():
        materialize(store_home)
    assert ask(running).is_degraded
    materialize(store_home)
    # Not by a lucky read: a whole refresh has to find the store right.
    assert ask(running).is_degraded
    running.pipeline.features.refresh()
    answer = ask(running)
    assert (answer.is_degraded, answer.degraded_reason) == (False, None)
    assert answer.items[0].item_id == "i6"  # Bought before.
    assert running.pipeline.features.snapshot.stamp.version == 3
    assert is_ready(running)


def test_a_service_does_not_start_on_a_store_with_other_features(running, store_home, shop_over):
    released = running.manifest.features
    with defined_otherwise():
        materialize(store_home)
    registry = store_home.feast / "registry.db"
    with pytest.raises(FeatureSchemaError, match=r"user_features\.price_mean_90d"):
        shop_over(
            connect=lambda: FeatureReader(store_home.online_address, registry=registry),
            features=released,
        )
