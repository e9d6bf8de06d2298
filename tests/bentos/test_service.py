"""Every endpoint over HTTP, in one process, through the real BentoML service."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bentos.recommender.http import ENDPOINTS
from bentos.recommender.schemas import MAX_BODY_BYTES
from bentos.recommender.shop import Shop
from domain.schemas import LANDED_EVENTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

GOOD = {
    "/recommend": {"user_id": "anna", "k": 3},
    "/similar": {"item_id": "i6", "k": 3},
    "/search": {"query_text": "paper lantern", "k": 3},
    "/suggest": {"prefix": "tea"},
    "/events": {"events": [{"event_type": "click", "user_id": "anna", "item_id": "i1"}]},
}


@pytest.fixture(scope="module")
def server(server_shop) -> Iterator[tuple[TestClient, list[Shop]]]:
    # BentoML and OpenTelemetry warn about themselves; an app of theirs can be made once a process.
    with warnings.catch_warnings(action="ignore"), pytest.MonkeyPatch.context() as patch:
        from bentos.recommender import service

        patch.setattr(service, "load_shop", lambda *args, **kwargs: server_shop)
        app = service.Recommender.to_asgi()
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client, service.SHOPS


@pytest.fixture
def client(server, shop) -> TestClient:
    client, shops = server
    shops[:] = [shop]
    return client


def logged(folder: Path) -> list[dict]:
    return [
        json.loads(line)
        for path in folder.rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("path", GOOD)
def test_every_answer_carries_its_release_and_its_request(client, path):
    response = client.post(path, json=GOOD[path])
    assert response.status_code == 200, response.text
    assert response.json()["release_id"] == "small-1"
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_recommend_answers_as_the_contracts_say(client):
    answer = client.post("/recommend", json={"user_id": "anna", "k": 2}).json()
    request_id = answer.pop("request_id")
    assert len(request_id) == 32
    items = answer.pop("items")
    assert answer == {
        "release_id": "small-1",
        "user_id": "anna",
        "surface": "home",
        "is_degraded": False,
        "degraded_reason": None,
        "now": "2026-03-02T09:30:00Z",
    }
    assert items[0] == {
        "item_id": "i6",
        "title": "Tea cup",
        "category": "kitchen",
        "brand": "Clara",
        "price_cents": 500,
        "image_url": None,
        "score": items[0]["score"],
        "rank": 1,
        "position": 1,
        "source": "popularity",
        "reason": "You bought it before",
        "propensity": 1.0,
    }


def test_what_is_shown_is_logged_as_impressions_in_the_shops_time(client, log_folder):
    answer = client.post("/recommend", json={"user_id": "anna", "k": 3, "session_id": "s1"}).json()
    rows = logged(log_folder)
    assert [path.name for path in log_folder.iterdir()] == ["event_date=2026-03-02"]
    assert [list(row) for row in rows] == [LANDED_EVENTS.names] * 3
    assert [row["item_id"] for row in rows] == [shown["item_id"] for shown in answer["items"]]
    assert [row["position"] for row in rows] == [1, 2, 3]
    assert {row["event_type"] for row in rows} == {"impression"}
    assert {row["propensity"] for row in rows} == {1.0}
    assert {(row["session_id"], row["request_id"]) for row in rows} == {
        ("s1", answer["request_id"])
    }
    assert len({row["event_id"] for row in rows}) == 3


def test_events_are_logged_at_the_shops_now_and_in_their_order(client, log_folder):
    events = [
        {"event_type": "click", "user_id": "anna", "item_id": "i1", "position": 2},
        {"event_type": "purchase", "user_id": "anna", "item_id": "i1", "unit_price_cents": 1000,
         "quantity": 2, "event_timestamp": "1999-01-01T00:00:00Z", "event_id": "mine"},
    ]  # fmt: skip
    answer = client.post("/events", json={"events": events}).json()
    assert (answer["accepted"], answer["logged"]) == (2, 2)
    rows = logged(log_folder)
    assert [row["event_timestamp"] for row in rows] == [
        "2026-03-02T09:30:00.000000+00:00",
        "2026-03-02T09:30:00.000001+00:00",
    ]
    assert rows[1]["event_id"] == "mine"
    assert rows[1]["quantity"] == 2


def test_a_log_that_cannot_be_written_costs_events_and_never_the_answer(client, log_folder):
    log_folder.write_text("a file where a folder should be")
    answer = client.post("/events", json=GOOD["/events"])
    assert (answer.status_code, answer.json()["logged"]) == (200, 0)
    assert client.post("/recommend", json=GOOD["/recommend"]).status_code == 200
    metrics = client.get("/metrics").text
    assert "vitrine_events_not_logged_total" in metrics


def test_search_finds_by_words_mends_them_and_logs_the_search(client, log_folder):
    answer = client.post("/search", json={"query_text": "papr lanterm", "user_id": "ben"}).json()
    assert answer["query_text"] == "papr lanterm"
    assert answer["corrected_query_text"] == "paper lantern"
    assert [shown["item_id"] for shown in answer["items"]][:2] == ["i1", "i2"]
    rows = logged(log_folder)
    assert rows[0]["event_type"] == "search"
    assert rows[0]["query_text"] == "papr lanterm"
    assert {row["event_type"] for row in rows[1:]} == {"impression"}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"category": "Lights"}, {"i1", "i2", "i3"}),
        ({"brand": "Clara"}, {"i3"}),
        ({"price_cents_min": 1200}, {"i2", "i3"}),
        ({"price_cents_max": 1000}, {"i1"}),
        ({"price_cents_min": 1001, "price_cents_max": 2999}, {"i2"}),
        ({"category": "chairs"}, set()),
    ],
)
def test_search_filters(client, filters, found):
    answer = client.post("/search", json={"query_text": "lantern", **filters}).json()
    assert {shown["item_id"] for shown in answer["items"]} == found


def test_a_word_that_means_nothing_finds_nothing(client):
    answer = client.post("/search", json={"query_text": "qqqqzzzzxxxx"})
    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_similar_items_say_whether_they_go_with_it_or_are_like_it(client):
    items = client.post("/similar", json={"item_id": "i6", "k": 10}).json()["items"]
    reasons = {shown["item_id"]: shown["reason"] for shown in items}
    assert "i6" not in reasons
    assert reasons["i7"] == "Goes with Tea cup"
    assert items[0]["item_id"] == "i7"


def test_suggestions_complete_queries_categories_and_titles(client):
    suggestions = client.post("/suggest", json={"prefix": "te"}).json()["suggestions"]
    assert suggestions[0] == {"text": "tea pot", "kind": "query", "item_id": None}
    assert {"text": "Tea cup", "kind": "item", "item_id": "i6"} in suggestions
    inside = client.post("/suggest", json={"prefix": "lant"}).json()["suggestions"]
    assert [each["text"] for each in inside][:2] == ["Red paper lantern", "Blue paper lantern"]


def test_suggestions_forgive_a_slip(client):
    suggestions = client.post("/suggest", json={"prefix": "gardne"}).json()["suggestions"]
    assert [each["text"] for each in suggestions] == ["Garden chair"]


def test_users_items_and_status(client):
    assert client.get("/users?limit=1").json()["users"] == [
        {"user_id": "anna", "purchase_count": 1}
    ]
    page = client.get("/items/i8").json()
    assert (page["title"], page["is_available"]) == ("Winter lantern", False)
    status = client.get("/status").json()
    assert status["clock"] == "replay"
    assert status["now"] == "2026-03-02T09:30:00Z"
    assert status["event_date"] == "2026-03-01"
    assert (status["item_count"], status["is_simulated_clicks"]) == (10, True)


def test_the_storefront_stands_at_the_root(client):
    assert "<title>Vitrine</title>" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    assert client.get("/static/../service.py").status_code == 404
    assert client.get("/static/nothing.js").status_code == 404


def test_probes_and_metrics(client):
    client.post("/recommend", json=GOOD["/recommend"])
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    metrics = client.get("/metrics").text
    assert 'vitrine_requests_total{endpoint="recommend",status="200"}' in metrics
    assert "vitrine_request_seconds_bucket" in metrics


def test_a_store_with_other_features_is_not_ready_and_answers_what_it_can(client, shop, store):
    store.features = {**store.features, "item_features": {}}
    store.version = 2
    with pytest.raises(Exception, match=r"item_features\.click_count_7d"):
        shop.pipeline.features.refresh()
    assert client.get("/readyz").status_code == 503
    answer = client.post("/recommend", json=GOOD["/recommend"]).json()
    assert answer["is_degraded"]
    assert "item_features.click_count_7d" in answer["degraded_reason"]


def test_openapi_describes_every_endpoint(client):
    document = client.get("/openapi.json").json()
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace(":path", "")
        operation = document["paths"][path][endpoint.method.lower()]
        assert operation["summary"].endswith(".")
        assert ("requestBody" in operation) == (endpoint.method == "POST")
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert client.get("/docs").status_code == 200


BAD = [
    ("/recommend", {"user_id": "anna", "k": 0}, 422),
    ("/recommend", {"user_id": "anna", "k": 10**6}, 422),
    ("/recommend", {"user_id": "anna", "k": "10"}, 422),
    ("/recommend", {"user_id": "anna", "k": None}, 422),
    ("/recommend", {"user_id": "anna", "k": 1.5}, 422),
    ("/recommend", {"user_id": "anna", "k": True}, 422),
    ("/recommend", {"user_id": ""}, 422),
    ("/recommend", {"user_id": "a\x00b"}, 422),
    ("/recommend", {"user_id": "a" * 129}, 422),
    ("/recommend", {"user_id": 7}, 422),
    ("/recommend", {"user_id": "anna", "surface": "window"}, 422),
    ("/recommend", {"user_id": "anna", "task": "all"}, 422),
    ("/recommend", {"user_id": "anna", "kk": 3}, 422),
    ("/recommend", {}, 422),
    ("/recommend", [], 422),
    ("/similar", {"item_id": "unheard of"}, 404),
    ("/search", {"query_text": ""}, 422),
    ("/search", {"query_text": "   "}, 422),
    ("/search", {"query_text": "a" * 100_000}, 422),
    ("/search", {"query_text": "a\x00"}, 422),
    ("/search", {"query_text": "x", "price_cents_min": -1}, 422),
    ("/suggest", {"prefix": ""}, 422),
    ("/suggest", {"prefix": "a", "k": 21}, 422),
    ("/events", {"events": []}, 422),
    ("/events", {"events": [{"event_type": "click", "user_id": "a"}] * 101}, 422),
    ("/events", {"events": [{"event_type": "stare", "user_id": "a"}]}, 422),
    ("/events", {"events": [{"event_type": "click"}]}, 422),
    ("/events", {"events": [{"event_type": "click", "user_id": "a", "propensity": 2}]}, 422),
    ("/events", {"events": [{"event_type": "click", "user_id": "a" * 10**7}]}, 413),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD)
def test_bad_input_is_explained_and_never_a_failure(client, path, body, status):
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error", "detail", "request_id"}
    assert len(response.text) < 2_000


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"{'user_id': 1}", b'{"user_id": "\\ud800"}']
)
def test_what_is_no_json_is_a_400(client, body):
    response = client.post("/recommend", content=body)
    assert response.status_code == 400
    assert response.json()["error"] == "malformed_json"


def test_a_body_that_never_ends_is_cut_off(client):
    response = client.post("/recommend", content=b"[" * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/items/unheard-of", 404),
        ("/items/%00", 422),
        ("/items/" + "a" * 500, 422),
        ("/users?limit=0", 422),
        ("/users?limit=many", 422),
        ("/recommend", 405),
        ("/no-such-page", 404),
    ],
)
def test_bad_paths(client, path, status):
    assert client.get(path).status_code == status


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["user_id", "item_id", "k", "query_text", "prefix", "events", "surface", "task", "category"]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(sorted(GOOD)), changes=st.dictionaries(_fields, _json, max_size=3))
def test_whatever_is_sent_is_never_a_failure(client, path, changes):
    body = json.dumps({**GOOD[path], **changes})
    response = client.post(path, content=body.encode("utf-8", "surrogatepass"))
    assert response.status_code < 500, (path, body, response.text)
