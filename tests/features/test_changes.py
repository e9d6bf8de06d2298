"""A definition that changes is out of the stamp before its first new value is online."""

from datetime import date

import pytest
from feast import FeatureView, Field
from feast.types import Float32

import features.store
from domain.schemas import USER_FEATURE_TYPES
from domain.settings import Settings
from features.materialize import materialize
from features.stamps import find_stamp
from features.store import apply, load_definitions, open_store

pytestmark = pytest.mark.filterwarnings("ignore")  # Feast and what it brings along

DAY = date(2011, 12, 1)


@pytest.fixture
def published(publish) -> Settings:
    publish("user_features", DAY, [{"user_id": "u1", "click_count_7d": 3, "price_mean_90d": 2.5}])
    publish("user_history", DAY, [{"user_id": "u1"}])
    publish("item_features", DAY, [{"item_id": "i1"}])
    return Settings()


@pytest.fixture
def online(published) -> Settings:
    materialize(published)
    return published


@pytest.fixture
def redefine(monkeypatch):
    """Define ``user_features`` with other fields from now on."""

    def redefine(fields: list[Field]) -> None:
        def definitions(settings):
            defined = load_definitions(settings)
            (view,) = [found for found in defined if found.name == "user_features"]
            other = FeatureView(
                name=view.name,
                entities=[found for found in defined if found.name == "user"],
                ttl=view.ttl,
                schema=fields,
                source=view.batch_source,
            )
            # What is made of the view's columns goes with them.
            gone = ("user_features", "request_features", "ranking")
            return [other, *(found for found in defined if found.name not in gone)]

        monkeypatch.setattr(features.store, "load_definitions", definitions)

    return redefine


def fields_of(settings: Settings) -> list[Field]:
    (view,) = [found for found in load_definitions(settings) if found.name == "user_features"]
    return list(view.features)


def stamped(settings: Settings) -> dict:
    return dict(find_stamp(settings.online_address).features["user_features"])


def test_a_feature_that_changes_its_type_is_vouched_for_again_only_when_it_is_written(
    online, redefine
):
    before = stamped(online)
    others = [field for field in fields_of(online) if field.name != "price_mean_90d"]
    redefine([*others, Field(name="price_mean_90d", dtype=Float32)])
    apply(online)
    assert stamped(online) == {k: v for k, v in before.items() if k != "price_mean_90d"}
    materialize(online)
    assert stamped(online) == {**before, "price_mean_90d": "Float32"}


def test_a_feature_that_is_added_reaches_days_that_were_materialized_before(published, redefine):
    """The mart has the column; only the view learns of it later."""
    all_fields = fields_of(published)
    redefine([field for field in all_fields if field.name != "click_count_7d"])
    materialize(published)
    assert "click_count_7d" not in stamped(published)
    redefine(all_fields)
    materialize(published)
    assert set(stamped(published)) == set(USER_FEATURE_TYPES)
    answer = open_store(published).get_online_features(
        features=["user_features:click_count_7d"], entity_rows=[{"user_id": "u1"}]
    )
    assert answer.to_dict()["click_count_7d"] == [3]


def test_definitions_that_stay_leave_stamp_and_memory_alone(online):
    before = find_stamp(online.online_address)
    memory = (online.feast / "materialized.json").read_bytes()
    apply(online)
    assert find_stamp(online.online_address) == before
    assert (online.feast / "materialized.json").read_bytes() == memory
