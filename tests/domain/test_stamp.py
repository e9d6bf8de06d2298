from datetime import date
from pathlib import Path

import pytest

from domain.errors import FeatureSchemaError, StaleFeaturesError
from domain.stamp import (
    StoreStamp,
    read_stamp,
    require_same_features,
    schema_hash,
    write_stamp,
)

FEATURES = {"user_features": {"click_count_7d": "Int64", "price_mean_90d": "Float64"}}


def test_a_stamp_comes_back_as_it_was_written(tmp_path: Path):
    stamp = StoreStamp(features=FEATURES, event_date=date(2011, 12, 9), version=3)
    write_stamp(tmp_path / "stamp.json", stamp)
    assert read_stamp(tmp_path / "stamp.json") == stamp


def test_no_stamp_says_what_to_do(tmp_path: Path):
    with pytest.raises(StaleFeaturesError, match="run vitrine materialize first"):
        read_stamp(tmp_path / "stamp.json")


def test_the_schema_hash_does_not_depend_on_order_but_on_types():
    swapped = {"user_features": {"price_mean_90d": "Float64", "click_count_7d": "Int64"}}
    other = {"user_features": {"price_mean_90d": "Float64", "click_count_7d": "Int32"}}
    assert schema_hash(swapped) == schema_hash(FEATURES) != schema_hash(other)


def test_every_differing_feature_is_named():
    held = {"user_features": {"click_count_7d": "String", "new_one": "Int64"}}
    with pytest.raises(FeatureSchemaError) as refusal:
        require_same_features(FEATURES, held)
    for words in (
        "user_features.click_count_7d: expected Int64, got String",
        "user_features.price_mean_90d: expected Float64, got nothing",
        "user_features.new_one: expected nothing, got Int64",
    ):
        assert words in str(refusal.value)


def test_more_views_in_the_store_are_fine():
    require_same_features(FEATURES, FEATURES | {"extra": {"a": "Int64"}})
