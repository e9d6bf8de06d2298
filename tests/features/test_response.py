"""Answers from columns are Feast's own answers: names, values, statuses, moments, order."""

import asyncio
import json
import math
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.responses import JSONResponse
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RequestSource,
    ValueType,
)
from feast.data_format import ParquetFormat
from feast.errors import FeatureNameCollisionError, FeatureViewNotFoundException
from feast.feature_server_utils import convert_response_to_dict
from feast.on_demand_feature_view import on_demand_feature_view
from feast.online_response import OnlineResponse
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.types import Array, Float64, Int64, Json, String

from domain.clock import wall_now
from features.json_answer import json_of
from features.response import ColumnResponse
from tests import servers
from tests.features.every_type import NOW, TYPES, open_ours, publish, table, view_over

THINGS = ["plain", "käse", "🧀", "", *(f"n{n}" for n in range(30))]
ASKED = [*THINGS, "nobody", "no one"]
REFS = [f"every_type:{name}" for name in TYPES]
PLACES = [7, -1, 2**40]
PLACE_REFS = ["at_place:seen", "at_place:note", "at_place:tags", "at_place:said"]

pytestmark = pytest.mark.filterwarnings("ignore:On demand feature view is an experimental")


def place_view(path: Path) -> list[Any]:
    """A view of two entities, whose rows stay true for a day."""
    thing = Entity(name="thing", join_keys=["thing_id"], value_type=ValueType.STRING)
    place = Entity(name="place", join_keys=["place_id"], value_type=ValueType.INT64)
    source = FileSource(
        name="at_place_source",
        path=str(path),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )
    fields = {"seen": Int64, "note": String, "tags": Array(String), "said": Json}
    view = FeatureView(
        name="at_place",
        entities=[thing, place],
        ttl=timedelta(days=1),
        schema=[
            Field(name="place_id", dtype=Int64),
            Field(name="thing_id", dtype=String),
            *(Field(name=name, dtype=dtype) for name, dtype in fields.items()),
        ],
        source=source,
    )
    return [place, view]


def doubled(view: FeatureView) -> Any:
    @on_demand_feature_view(
        sources=[
            view[["a_double"]],
            RequestSource(name="r", schema=[Field(name="factor", dtype=Float64)]),
        ],
        schema=[Field(name="multiplied", dtype=Float64)],
        mode="pandas",
    )
    def computed(inputs: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({"multiplied": inputs["a_double"] * inputs["factor"]})

    return computed


@pytest.fixture(params=["sqlite", "postgresql", "redis"], scope="module")
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    """Only read here: one for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        yield filled(folder, str(folder / "online.db"))
        return
    with {"postgresql": servers.postgres_url, "redis": servers.redis_url}[request.param]() as url:
        yield filled(folder, url)


def filled(folder: Path, address: str) -> FeatureStore:
    store = open_ours(folder, address)
    path = folder / "rows.parquet"
    thing, every_type = view_over(path)
    place, at_place = place_view(folder / "places.parquet")
    renamed = every_type.with_name("other").with_join_key_map({"thing_id": "other_id"})
    some = FeatureService(name="some", features=[every_type[["an_int64", "floats"]], at_place])
    two = FeatureService(name="two", features=[every_type.with_name("one"), renamed])
    store.apply([thing, every_type, place, at_place, some, two, doubled(every_type)])
    publish(
        store,
        path,
        table(THINGS, [NOW + timedelta(microseconds=n * 999) for n in range(34)], seed=3),
    )
    store.write_to_online_store("at_place", df=places())
    return store


def places() -> pd.DataFrame:
    """A row a pair; every third has expired."""
    pairs = [(thing, place) for thing in THINGS[:9] for place in PLACES]
    now = wall_now()
    return pd.DataFrame(
        {
            "thing_id": [thing for thing, _ in pairs],
            "place_id": [place for _, place in pairs],
            "event_timestamp": [now - timedelta(hours=n % 3 * 20) for n in range(len(pairs))],
            "seen": range(len(pairs)),
            "note": [f"note {n}" for n in range(len(pairs))],
            "tags": [["a", "ö"][: n % 3] for n in range(len(pairs))],
            "said": [json.dumps({"n": n}) for n in range(len(pairs))],
        }
    )


def by_feast(store: FeatureStore, features: Any, rows: Any, *, full: bool) -> OnlineResponse:
    """Feast's own assembly, a value at a time."""
    answer = store.get_online_features(
        features, rows, full_feature_names=full, include_feature_view_version_metadata=True
    )
    assert not isinstance(answer, ColumnResponse)
    del answer.proto.metadata.feature_view_metadata[:]
    return answer


def require_equal(store: FeatureStore, features: Any, rows: Any, *, full: bool) -> None:
    """Every form of the answer; NaN is NaN, so what is compared is bytes and text."""
    theirs = by_feast(store, features, rows, full=full)
    ours = store.get_online_features(features, rows, full_feature_names=full)
    assert isinstance(ours, ColumnResponse)
    for stamped in (False, True):
        assert repr(ours.to_dict(stamped)) == repr(theirs.to_dict(stamped))
    expected = JSONResponse(convert_response_to_dict(theirs.proto)).body
    assert json.loads(json_of(ours)) == json.loads(expected)
    assert list(json.loads(json_of(ours))) == list(json.loads(expected))
    assert repr(ours.to_df()) == repr(theirs.to_df())
    assert ours.proto.SerializeToString() == theirs.proto.SerializeToString()
    assert repr(ours.to_dict(True)) == repr(theirs.to_dict(True))


@pytest.mark.parametrize("seed", range(6))
def test_any_plain_request_is_answered_as_feast_answers_it(store, seed):
    drawn = random.Random(seed)
    things = drawn.choices(ASKED, k=drawn.randint(1, 60))
    refs = drawn.sample([*REFS, *PLACE_REFS], drawn.randint(1, 20))
    columns = {"thing_id": things, "place_id": drawn.choices([*PLACES, 0], k=len(things))}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    require_equal(store, refs, columns, full=bool(seed % 2))
    require_equal(store, refs, rows, full=not seed % 2)


def test_every_feature_and_both_services_are_answered_as_feast_answers_them(store):
    both = {"thing_id": ASKED, "place_id": [7] * len(ASKED)}
    require_equal(store, REFS, {"thing_id": ASKED}, full=False)
    require_equal(store, [*REFS, *PLACE_REFS], both, full=True)
    require_equal(store, store.get_feature_service("some"), both, full=False)
    renamed = {"thing_id": ASKED, "other_id": ASKED[::-1], "unheard_of": ASKED}
    require_equal(store, store.get_feature_service("two"), renamed, full=True)


def test_entities_given_as_protobuf_are_answered_as_feast_answers_them(store):
    repeated = RepeatedValue(val=[Value(string_val=thing) for thing in ASKED])
    require_equal(store, REFS, {"thing_id": repeated}, full=False)
    require_equal(store, REFS, {"thing_id": list(repeated.val)}, full=False)


def test_an_expired_row_is_missing_in_an_answer_from_columns(store):
    keys = {"thing_id": [THINGS[0]] * 3, "place_id": PLACES}
    answer = store.get_online_features(["at_place:seen"], keys)
    assert answer.to_dict()["seen"] == [0, 1, None]
    assert list(answer.proto.results[2].statuses) == [1, 1, 3]


def test_on_demand_features_are_computed_by_feast_from_the_same_values(store):
    refs = ["every_type:a_double", "computed:multiplied"]
    rows = {"thing_id": ASKED, "factor": [2.0] * len(ASKED)}
    answer = store.get_online_features(refs, rows)
    assert not isinstance(answer, ColumnResponse)
    got = answer.to_dict()
    assert set(got) == {"thing_id", "a_double", "multiplied"}
    # To Feast's on-demand features, NaN is a null.
    due = [None if value is None or math.isnan(value) else value * 2 for value in got["a_double"]]
    assert repr(got["multiplied"]) == repr(due)


def test_the_asynchronous_read_is_the_same_answer(store):
    awaited = asyncio.run(store.get_online_features_async(REFS, {"thing_id": ASKED}))
    assert isinstance(awaited, ColumnResponse)
    assert repr(awaited.to_dict()) == repr(
        store.get_online_features(REFS, {"thing_id": ASKED}).to_dict()
    )


def test_what_feast_refuses_is_refused_as_feast_refuses_it(store):
    for features, rows, error in (
        (["no:such"], {"thing_id": ["a"]}, FeatureViewNotFoundException),
        (["every_type:no_such"], {"thing_id": ["a"]}, Exception),
        (["every_type:an_int64"], {"who": ["a"]}, KeyError),
        (["every_type:an_int64"], [{"thing_id": "a"}, {"who": "b"}], ValueError),
        (["every_type:an_int64"] * 2, {"thing_id": ["a"]}, FeatureNameCollisionError),
        ([], {"thing_id": ["a"]}, ValueError),
        (["every_type:an_int64", "computed:multiplied"], {"thing_id": ["a"]}, Exception),
    ):
        with pytest.raises(error) as theirs:
            store.get_online_features(features, rows, include_feature_view_version_metadata=True)
        with pytest.raises(error) as ours:
            store.get_online_features(features, rows)
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value)


def test_a_changed_protobuf_answer_is_what_the_values_are_made_of(store):
    answer = store.get_online_features(["every_type:an_int64"], {"thing_id": ["plain"]})
    answer.proto.results[1].values[0].int64_val = 41
    assert answer.to_dict()["an_int64"] == [41]
