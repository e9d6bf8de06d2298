"""Feast's own application behind the door, on a real store."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest
from feast.feature_server import get_app
from starlette.testclient import TestClient

from domain.errors import FeatureSchemaError, StaleFeaturesError
from domain.schemas import USER_FEATURE_TYPES
from domain.settings import Settings
from features.materialize import materialize
from features.online import FeatureReader
from features.server import open_server
from features.stamps import find_stamp, keep_stamp
from features.store import open_store

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # Said where DuckDB is read in a thread of Feast's server, which nothing may silence.
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result"),
]

QUESTION = {
    "features": ["user_features:click_count_7d", "user_history:history_item_ids"],
    "entities": {"user_id": ["u1", "nobody"]},
}
COUNTS = [name for name, kind in USER_FEATURE_TYPES.items() if kind == pa.int64()]
ROW = {
    "feature_view_name": "user_features",
    "df": {
        "user_id": ["u1"],
        "event_timestamp": ["2011-12-06T23:59:59.999999+00:00"],
        **{name: [77] for name in COUNTS},
        "price_mean_90d": [1.5],
        "last_interaction_timestamp": [1_323_165_600],
    },
}
RANGE = {
    "start_ts": "2011-12-01T00:00:00+00:00",
    "end_ts": "2011-12-06T23:59:59.999999+00:00",
    "feature_views": ["user_features"],
}


@dataclass
class Server:
    shop: Settings
    client: TestClient

    def post(self, path: str, body: dict, token: str | None = None):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self.client.post(path, json=body, headers=headers)

    def version(self) -> int:
        return find_stamp(self.shop.online_address).version


@pytest.fixture
def server(shop, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("VITRINE_FEATURE_READ_TOKEN", "a reader")
    monkeypatch.setenv("VITRINE_FEATURE_WRITE_TOKEN", "a writer")
    materialize(shop)
    ours = Settings()
    with TestClient(open_server(ours), raise_server_exceptions=False) as client:
        yield Server(ours, client)


def test_what_is_read_over_http_is_what_the_reader_reads(server):
    answer = server.post("/get-online-features", QUESTION, "a reader")
    assert answer.status_code == 200
    body = answer.json()
    names = body["metadata"]["feature_names"]
    columns = {name: result["values"] for name, result in zip(names, body["results"], strict=True)}
    users = FeatureReader(server.shop).users(["u1", "nobody"])
    assert columns["click_count_7d"] == users["click_count_7d"].to_pylist()
    assert columns["history_item_ids"][0] == users["history_item_ids"].to_pylist()[0]
    assert columns["user_id"] == ["u1", "nobody"]


def test_a_write_without_the_writers_token_is_refused_and_changes_nothing(server):
    before, version = FeatureReader(server.shop).users(["u1"]), server.version()
    for path, body in (
        ("/push", {"push_source_name": "p", "df": ROW["df"]}),
        ("/write-to-online-store", ROW),
        ("/materialize", RANGE),
        ("/materialize-incremental", {"end_ts": RANGE["end_ts"]}),
        ("/materialize?async=true", RANGE),
    ):
        assert server.post(path, body).status_code == 401, path
        assert server.post(path, body, "guessed").status_code == 401, path
        assert server.post(path, body, "a reader").status_code == 403, path
    assert FeatureReader(server.shop).users(["u1"]).equals(before)
    assert server.version() == version
    assert server.post("/get-online-features", QUESTION).status_code == 401


def test_a_writer_writes_and_services_hear_of_it(server):
    version = server.version()
    assert server.post("/write-to-online-store", ROW, "a writer").status_code == 200
    read = FeatureReader(server.shop).users(["u1"])
    assert read["click_count_7d"].to_pylist() == [77]
    assert server.version() == version + 1
    assert server.post("/materialize", RANGE, "a writer").status_code == 200
    assert server.version() == version + 2


def test_health_needs_no_token_and_tokens_never_reach_a_log(server, caplog):
    with caplog.at_level(logging.DEBUG):
        assert server.client.get("/health").status_code == 200
        server.post("/get-online-features", QUESTION, "a reader")
        server.post("/get-online-features", {"features": ["no:such"]}, "a reader")
    assert "a reader" not in caplog.text


def test_it_refuses_to_start_on_nothing_or_on_other_features(shop):
    with pytest.raises(StaleFeaturesError, match="materialize"):
        open_server(shop)
    materialize(shop)
    stamp = find_stamp(shop.online_address)
    features = {**stamp.features, "user_history": {"history_item_ids": "Array(String)"}}
    keep_stamp(shop.online_address, type(stamp)(features, stamp.event_date, 9, stamp.clock))
    with pytest.raises(FeatureSchemaError, match="bought_item_ids"):
        open_server(shop)


PLAIN = {"user_id": ["u1", "nobody", "u7", "u1"]}
PRICED = {**PLAIN, "item_id": ["i1"] * 4, "item_price_cents": [250.0] * 4}
QUESTIONS = {
    "plain": QUESTION,
    "full names": {**QUESTION, "full_feature_names": True},
    "a service": {"feature_service": "retrieval", "entities": PLAIN},
    "versions": {**QUESTION, "include_feature_view_version_metadata": True},
    "on demand": {
        "features": ["request_features:price_ratio", "user_features:click_count_7d"],
        "entities": {**PRICED, "request_timestamp": [1_323_255_600] * 4},
    },
    "the ranking service": {
        "feature_service": "ranking",
        "full_feature_names": True,
        "entities": {**PRICED, "request_timestamp": [1_323_255_600] * 4},
    },
    "no entity": {**QUESTION, "entities": {"user_id": []}},
    "no such view": {**QUESTION, "features": ["no:such"]},
    "no such feature": {**QUESTION, "features": ["user_features:none"]},
    "no such service": {"feature_service": "none", "entities": PLAIN},
    "another entity": {**QUESTION, "entities": {"item_id": ["i1"]}},
    "nothing asked": {"entities": PLAIN},
    "no entities": {"features": QUESTION["features"]},
    "of another form": {"features": "user_features", "entities": []},
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_that_of_feasts_own_server(server, name):
    ours = server.post("/get-online-features", QUESTIONS[name], "a reader")
    with TestClient(get_app(open_store(server.shop)), raise_server_exceptions=False) as feast:
        theirs = feast.post("/get-online-features", json=QUESTIONS[name])
    assert ours.status_code == theirs.status_code
    assert ours.json() == theirs.json()
    assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_the_api_is_described_once_as_feast_describes_it(server):
    described = server.client.get("/openapi.json", headers={"authorization": "Bearer a reader"})
    with TestClient(get_app(open_store(server.shop))) as feast:
        assert described.json() == feast.get("/openapi.json").json()
