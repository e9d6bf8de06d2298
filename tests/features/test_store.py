import os
from datetime import datetime
from pathlib import Path

import pytest
from feast import FeatureView

from domain.errors import BadInputError, StaleFeaturesError
from domain.settings import Settings
from features.schema import feature_schema
from features.store import apply, load_definitions, open_bundled, open_store


def test_applying_twice_leaves_every_definition_once(shop):
    apply(shop)
    apply(shop)
    store = open_store(shop)
    assert {view.name for view in store.list_all_feature_views()} == {
        "user_features",
        "item_features",
        "user_history",
        "request_features",
    }
    assert {service.name for service in store.list_feature_services()} == {"retrieval", "ranking"}
    assert {entity.name for entity in store.list_entities()} >= {"user", "item"}


def test_definitions_read_the_marts_of_the_home_they_are_asked_for(shop):
    paths = [value.path for value in load_definitions(shop) if type(value).__name__ == "FileSource"]
    assert len(paths) == 3
    assert all(path.startswith(str(shop.marts)) for path in paths)


def test_a_registry_that_lost_a_definition_is_noticed(shop, monkeypatch):
    from feast import FeatureStore

    real = FeatureStore.apply

    def lose_the_services(self, objects, **rest):
        return real(self, [o for o in objects if type(o).__name__ != "FeatureService"], **rest)

    monkeypatch.setattr(FeatureStore, "apply", lose_the_services)
    with pytest.raises(StaleFeaturesError, match="ranking, retrieval"):
        apply(shop)


def test_the_schema_names_every_feature_and_its_type(shop):
    apply(shop)
    schema = feature_schema(open_store(shop))
    assert schema["user_features"]["click_count_7d"] == "Int64"
    assert schema["user_history"]["bought_item_weights"] == "Array(Float32)"
    assert schema["request_features"] == {
        "price_ratio": "Float64",
        "days_since_last_interaction": "Float64",
    }


def test_a_bundle_without_a_store_is_refused_instead_of_reading_nulls(shop, tmp_path):
    apply(shop)
    with pytest.raises(StaleFeaturesError, match="no feature registry"):
        open_bundled(tmp_path / "absent.db", shop.online_address)
    with pytest.raises(StaleFeaturesError, match="no online store"):
        open_bundled(shop.feast / "registry.db", str(tmp_path / "absent.db"))


def test_addresses_work_anywhere(home, monkeypatch):
    assert Settings().online_address == str(home / "feast" / "online.db")
    monkeypatch.chdir(home.parent)
    assert Settings(online_store="x.db").online_address == str(Path("x.db").resolve())
    assert Settings(online_store="redis://h:1/2").online_address == "redis://h:1/2"


def test_feast_leaves_the_metrics_of_the_process_alone(shop, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.delenv("PROMETHEUS_MULTIPROCESS_DIR", raising=False)
    open_store(shop)
    assert not [name for name in os.environ if name.startswith("PROMETHEUS")]


def test_an_online_store_nobody_knows_is_refused(shop):
    with pytest.raises(BadInputError, match="mongodb://x"):
        open_store(Settings(online_store="mongodb://x"))


def test_definitions_know_nothing_of_what_another_home_materialized():
    views = [one for one in load_definitions(Settings()) if isinstance(one, FeatureView)]
    for view in views:
        view.materialization_intervals.append((datetime(2026, 1, 1), datetime(2026, 1, 2)))
    load_definitions(Settings())
    assert len(views) == 3
    assert not any(view.materialization_intervals for view in views)
