"""The shop's own tables on every online store: equal to the offline join, whatever happened."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from feast import FeatureStore, RepoConfig

from domain.errors import StaleFeaturesError
from domain.files import write_json
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from features.erase import erase
from features.history import point_in_time
from features.materialize import materialize, missing_online
from features.online import FeatureReader
from features.partitions import signatures
from features.quiet import quiet
from features.reading import event_microseconds
from features.stamps import find_stamp
from features.store import VIEWS, load_definitions, open_store
from tests import servers
from tests.features.conftest import end_of, write_mart

NOW = datetime(2011, 12, 7, 9, tzinfo=UTC)
FIRST, THIRD, LAST = date(2011, 12, 1), date(2011, 12, 3), date(2011, 12, 6)
USERS = [f"u{n}" for n in range(45)]
ITEMS = [f"i{n}" for n in range(22)]


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def on_store(request: pytest.FixtureRequest, shop: Settings) -> Iterator[Settings]:
    """The small shop, its online store on each of the three."""
    if request.param == "sqlite":
        yield shop
        return
    with {"postgresql": servers.postgres_url, "redis": servers.redis_url}[request.param]() as url:
        yield Settings(online_store=url)


def offline(settings: Settings, entity: str, ids: list[str]) -> list[dict]:
    import pyarrow as pa

    moments = pa.array([NOW] * len(ids), TIMESTAMP)
    asked = pa.table({entity: ids, "event_timestamp": moments})
    joined = point_in_time(settings, asked, service="ranking")
    return joined.drop_columns(["event_timestamp"]).to_pylist()


def require_equal(settings: Settings) -> None:
    reader = FeatureReader(settings)
    assert reader.users(USERS, now=NOW).to_pylist() == offline(settings, "user_id", USERS)
    assert reader.items(ITEMS, now=NOW).to_pylist() == offline(settings, "item_id", ITEMS)


def test_online_equals_offline_after_every_materialization(on_store):
    for day in (FIRST, THIRD, LAST):
        materialize(on_store, day)
        assert missing_online(on_store, "user_features", start=FIRST, until=day)[1] == 0
    require_equal(on_store)
    assert find_stamp(on_store.online_address).version == 3


def test_a_store_that_lost_everything_is_filled_again(on_store):
    materialize(on_store)
    with quiet():
        open_store(on_store).teardown()
    materialize(on_store)
    require_equal(on_store)


def test_a_rebuilt_day_without_the_users_row_is_not_served_any_more(on_store, publish):
    publish("user_features", LAST, [{"user_id": "only-then", "click_count_7d": 9}])
    materialize(on_store)
    assert known(on_store, "only-then") == 9
    publish("user_features", LAST, [{"user_id": "u1", "click_count_7d": 5}])
    materialize(on_store)
    assert known(on_store, "only-then") is None
    require_equal(on_store)


def known(settings: Settings, user: str) -> int | None:
    return FeatureReader(settings).users([user], now=NOW)["click_count_7d"][0].as_py()


def test_a_day_that_is_gone_gives_the_day_before_back(on_store):
    materialize(on_store)
    for name in VIEWS:
        shutil.rmtree(on_store.marts / name / f"event_date={LAST}")
    materialize(on_store)
    require_equal(on_store)


def test_two_stores_of_one_home_do_not_take_one_anothers_word(on_store, publish):
    embedded = Settings()
    materialize(embedded, THIRD)
    materialize(on_store, LAST)
    materialize(embedded, LAST)
    require_equal(embedded)
    require_equal(on_store)


def test_an_erased_user_is_gone_from_every_view_and_stays_gone(on_store):
    materialize(on_store)
    assert erase(on_store, "user_id", ["u1", "nobody"]) == {"user_features": 1, "user_history": 1}
    empty = FeatureReader(on_store).users(["u1"], now=NOW).to_pylist()[0]
    assert {name for name, value in empty.items() if value is not None} == {"user_id"}
    assert known(on_store, "u2") is not None
    materialize(on_store)
    assert known(on_store, "u1") is None


def test_feast_alone_materializes_incrementally_into_it(on_store):
    materialize(on_store, FIRST)
    store = open_store(on_store)
    with quiet():
        store.materialize_incremental(end_of(LAST))
    require_equal(on_store)


def test_a_store_nothing_was_written_to_is_refused(on_store):
    with pytest.raises(StaleFeaturesError):
        FeatureReader(on_store)


def fill_by_feast_itself(settings: Settings) -> None:
    """What a home was before: Feast's own SQLite layout, a stamp, and a memory of days."""
    path = settings.feast / "online.db"
    settings.feast.mkdir(parents=True)
    old = FeatureStore(
        config=RepoConfig(
            project="vitrine",
            provider="local",
            registry=str(settings.feast / "registry.db"),
            online_store={"type": "sqlite", "path": str(path)},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
            materialization={"pull_latest_features": True, "online_write_batch_size": 1_000},
            data_quality_monitoring={"auto_baseline": False},
        )
    )
    with quiet():
        old.apply(load_definitions(settings))
        old.materialize(end_of(FIRST), end_of(LAST))
    old._get_provider().online_store._conn.close()
    write_json(
        settings.feast / "materialized.json", {name: signatures(settings, name) for name in VIEWS}
    )


def test_a_home_of_before_is_written_anew_and_not_misread(shop):
    fill_by_feast_itself(shop)
    stamp = {"event_date": LAST.isoformat(), "version": 7, "clock": "replay", "features": {}}
    write_json(shop.feast / "stamp.json", stamp)
    assert materialize(shop).rows_in == 100
    require_equal(shop)
    assert find_stamp(shop.online_address).version == 8


def test_an_expired_value_is_missing_to_whoever_asks_feasts_server(shop, home: Path):
    from feast.feature_server import get_app
    from starlette.testclient import TestClient

    # Stamped December 6: on December 7 a row of September 5 is 93 days old, one of October is true.
    for day, user in ((date(2011, 9, 5), "old"), (date(2011, 10, 5), "fresh")):
        write_mart(home, "user_features", day, [{"user_id": user, "click_count_7d": 4}])
        write_mart(home, "user_history", day, [{"user_id": user, "history_item_ids": ["i1"]}])
    materialize(shop)
    store = open_store(shop)
    view = store.get_feature_view("user_features")
    store._get_provider().online_store  # noqa: B018 - opened here, used by the server's threads
    body = {
        "features": ["user_features:click_count_7d", "user_history:history_item_ids"],
        "entities": {"user_id": ["old", "fresh", "nobody"]},
    }
    with TestClient(get_app(store)) as client:
        answer = client.post("/get-online-features", json=body).json()
    clicks, histories = answer["results"][1:]
    assert clicks["values"] == [None, 4, None]
    assert clicks["statuses"] == ["NOT_FOUND", "PRESENT", "NOT_FOUND"]
    assert histories["values"] == [["i1"], ["i1"], None]
    assert event_microseconds(store, view, ["nobody"]) == [0]
