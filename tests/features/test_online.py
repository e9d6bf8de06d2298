"""The features a model was trained on and the features it is served with cannot differ."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from domain.errors import FeatureSchemaError, StaleFeaturesError
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from features.history import point_in_time
from features.materialize import materialize
from features.online import FeatureReader
from features.stamps import find_stamp, keep_stamp

NOW = datetime(2011, 12, 7, 9, tzinfo=UTC)
USERS = [f"u{n}" for n in range(45)]  # The last five are nobody.
ITEMS = [f"i{n}" for n in range(22)]


def known_offline(settings: Settings, entity: str, ids: list[str], now: datetime) -> pa.Table:
    entities = pa.table({entity: ids, "event_timestamp": pa.array([now] * len(ids), TIMESTAMP)})
    return point_in_time(settings, entities, service="ranking").drop_columns(["event_timestamp"])


def test_every_value_online_equals_the_point_in_time_join_at_now(shop):
    materialize(shop)
    reader = FeatureReader(shop)
    users, items = reader.users(USERS, now=NOW), reader.items(ITEMS, now=NOW)
    assert users.to_pylist() == known_offline(shop, "user_id", USERS, NOW).to_pylist()
    assert items.to_pylist() == known_offline(shop, "item_id", ITEMS, NOW).to_pylist()
    assert users.schema.equals(known_offline(shop, "user_id", USERS, NOW).schema)
    assert users["bought_item_ids"].null_count < len(USERS)
    assert users["price_mean_90d"].null_count > 0


def test_expired_values_are_missing_online_as_they_are_offline(shop):
    materialize(shop)
    reader = FeatureReader(shop)
    for now in (datetime(2012, 3, 5, tzinfo=UTC), datetime(2012, 3, 6, 23, 59, tzinfo=UTC)):
        users = reader.users(USERS, now=now)
        assert users.to_pylist() == known_offline(shop, "user_id", USERS, now).to_pylist()
        assert 0 < users["click_count_7d"].null_count < len(USERS)


def test_unknown_and_repeated_ids_keep_their_places(shop):
    materialize(shop)
    users = FeatureReader(shop).users(["nobody", "u1", "u1"], now=NOW).to_pylist()
    assert [user["user_id"] for user in users] == ["nobody", "u1", "u1"]
    assert all(value is None for name, value in users[0].items() if name != "user_id")
    assert users[1] == users[2]
    assert FeatureReader(shop).users([], now=NOW).num_rows == 0


def test_a_copy_of_store_and_registry_is_enough_to_read(shop, tmp_path):
    materialize(shop)
    away = tmp_path / "away"
    away.mkdir()
    for name in ("online.db", "stamp.json", "registry.db"):
        shutil.copy(shop.feast / name, away)
    expected = FeatureReader(shop).users(USERS, now=NOW)
    shutil.rmtree(shop.root)
    reader = FeatureReader(away / "online.db", registry=away / "registry.db")
    assert reader.users(USERS, now=NOW).equals(expected)
    assert reader.stamp().event_date == date(2011, 12, 6)


def test_now_is_the_day_after_the_last_materialized_one(shop):
    materialize(shop)
    assert FeatureReader(shop).now().date() == date(2011, 12, 7)


def test_a_store_with_other_features_is_refused_by_name(shop):
    materialize(shop)
    reader = FeatureReader(shop)
    wanted = {view: dict(features) for view, features in reader.stamp().features.items()}
    reader.require(wanted)
    wanted["user_features"]["click_count_7d"] = "Float64"
    wanted["item_features"]["color"] = "String"
    with pytest.raises(FeatureSchemaError, match=r"color: expected String.*click_count_7d"):
        reader.require(wanted)


def test_a_registry_that_does_not_fit_the_store_is_refused(shop):
    materialize(shop)
    address = shop.online_address
    stamp = find_stamp(address)
    other = {**stamp.features, "user_history": {"history_item_ids": "Array(String)"}}
    keep_stamp(address, replace(stamp, features=other))
    with pytest.raises(FeatureSchemaError, match="bought_item_ids"):
        FeatureReader(shop)


def test_a_store_that_holds_nothing_is_refused(shop):
    with pytest.raises(StaleFeaturesError, match="vitrine materialize"):
        FeatureReader(shop)
