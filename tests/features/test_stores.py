"""One suite for every online store: the same rows written, the same answers given."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore
from feast.types import Int64, String

from domain.stamp import StoreStamp
from features.packed_store import table_of
from features.packing import entity_keys
from features.reading import online_store
from features.sending import chunks_of_batch
from features.stamps import keep_stamp
from tests import servers
from tests.features.every_type import NOW, TYPES, open_ours, publish, table, view_over

REFS = [f"every_type:{name}" for name in TYPES]
DAY = timedelta(days=1)
IDS = ["plain", "käse", "店 with spaces", "🧀", "x" * 200, "", *(f"n{n}" for n in range(40))]


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "online.db")
        return
    with {"postgresql": servers.postgres_url, "redis": servers.redis_url}[request.param]() as url:
        yield url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.parquet"


@pytest.fixture
def store(address: str, tmp_path: Path, path: Path) -> FeatureStore:
    opened = open_ours(tmp_path, address)
    opened.apply(view_over(path))
    return opened


def rows_at(moment: datetime, *, seed: int, ids: list[str] | None = None) -> pa.Table:
    ids = IDS if ids is None else ids
    return table(ids, [moment] * len(ids), seed=seed)


def asked(store: FeatureStore, ids: list[str]) -> list[dict]:
    answer = store.get_online_features(REFS, entity_rows={"thing_id": ids}).to_dict()
    return [{name: answer[name][at] for name in TYPES} for at in range(len(ids))]


def values(rows: pa.Table) -> list[dict]:
    return [
        {name: in_utc(value) for name, value in row.items()}
        for row in rows.select(list(TYPES)).to_pylist()
    ]


def in_utc(value: Any) -> Any:
    """Moments in the one time zone object that Feast gives: rows are compared as they print,
    so that NaN is NaN."""
    if isinstance(value, list):
        return [in_utc(each) for each in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value


NOTHING = dict.fromkeys(TYPES)


def test_values_of_every_type_come_back_as_they_were(store, path):
    rows = rows_at(NOW, seed=1)
    publish(store, path, rows)
    ids = ["nobody", *IDS, "käse", "käse"]
    kaese = values(rows)[1]
    assert repr(asked(store, ids)) == repr([NOTHING, *values(rows), kaese, kaese])


def test_event_times_and_statuses_say_what_is_held(store, path):
    moment = NOW.replace(microsecond=123_456)
    publish(store, path, rows_at(moment, seed=1, ids=["known"]))
    proto = store.get_online_features(REFS[:1], entity_rows={"thing_id": ["known", "nobody"]}).proto
    vector = proto.results[1]
    assert vector.event_timestamps[0].ToDatetime(UTC) == moment
    assert vector.event_timestamps[1].ToNanoseconds() == 0
    assert list(vector.statuses) == [1, 3]  # PRESENT, NOT_FOUND


def test_the_generic_reader_of_feast_gives_the_same_answers(store, path):
    publish(store, path, rows_at(NOW, seed=2))
    entities = {"thing_id": ["nobody", *IDS]}
    fast = store.get_online_features(REFS, entity_rows=entities).to_dict()
    generic = store.get_online_features(
        REFS, entity_rows=entities, include_feature_view_version_metadata=True
    ).to_dict()
    assert repr(fast) == repr(generic)


def test_feasts_asynchronous_reads_give_the_same_answers(store, path):
    publish(store, path, rows_at(NOW, seed=2))
    entities = {"thing_id": ["nobody", *IDS]}
    awaited = asyncio.run(store.get_online_features_async(REFS, entity_rows=entities))
    assert repr(awaited.to_dict()) == repr(store.get_online_features(REFS, entities).to_dict())


def test_rows_pushed_as_a_frame_read_like_materialized_ones(store, path):
    rows = rows_at(NOW, seed=3)
    publish(store, path, rows_at(NOW - DAY, seed=4))
    whole = rows.filter(pa.compute.is_valid(rows["an_int64"]))
    frame = pd.DataFrame(whole.to_pylist()).astype({"an_int32": "Int32"})
    names = ["a_string", "strings", "bools", "a_double", "an_int64"]
    frame = frame.dropna(subset=[*names, "an_int32", "a_bool"])
    store.write_to_online_store("every_type", df=frame)
    kept = frame["thing_id"].tolist()
    expected = {row["thing_id"]: row for row in rows.to_pylist()}
    got = asked(store, kept)
    assert len(kept) > 5
    for name in names:
        assert [row[name] for row in got] == [expected[thing][name] for thing in kept]
    older = frame.assign(event_timestamp=NOW - timedelta(hours=1), an_int64=1, a_string="older")
    store.write_to_online_store("every_type", df=older)
    assert repr(asked(store, kept)) == repr(got)


def test_an_older_row_never_replaces_a_newer_one(store, path):
    newer, older = rows_at(NOW, seed=1), rows_at(NOW - DAY, seed=2, ids=[*IDS, "late"])
    publish(store, path, newer)
    publish(store, path, older)
    assert repr(asked(store, [*IDS, "late"])) == repr([*values(newer), values(older)[-1]])


def test_a_microsecond_is_enough_to_be_newer(store, path):
    publish(store, path, rows_at(NOW, seed=1))
    publish(store, path, rows_at(NOW - timedelta(microseconds=1), seed=2))
    assert repr(asked(store, IDS)) == repr(values(rows_at(NOW, seed=1)))
    publish(store, path, rows_at(NOW + timedelta(microseconds=1), seed=3))
    assert repr(asked(store, IDS)) == repr(values(rows_at(NOW, seed=3)))


def test_a_row_of_the_same_moment_replaces_the_one_before(store, path):
    publish(store, path, rows_at(NOW, seed=1))
    publish(store, path, rows_at(NOW, seed=2))
    assert repr(asked(store, IDS)) == repr(values(rows_at(NOW, seed=2)))


def test_of_one_entitys_many_rows_the_newest_is_kept(store, path):
    moments = [NOW - DAY * 2, NOW, NOW - DAY]
    rows = table(["same"] * 3, moments, seed=5)
    publish(store, path, rows)
    assert repr(asked(store, ["same"])) == repr(values(rows)[1:2])
    view = store.get_feature_view("every_type")
    later = table(["same"] * 3, [NOW + DAY, NOW + DAY * 2, NOW + DAY], seed=6)
    batch = later.combine_chunks().to_batches()[0]
    chunks = chunks_of_batch(view, batch, moments="event_timestamp")
    assert online_store(store).write(store.config, view, chunks) == 1
    assert repr(asked(store, ["same"])) == repr(values(later)[1:2])


def test_an_expired_value_is_missing_by_the_shops_clock(address, tmp_path, path):
    store = open_ours(tmp_path, address)
    store.apply(view_over(path, ttl=DAY * 3))
    day = date(2011, 12, 8)
    today = datetime(2011, 12, 9, tzinfo=UTC)
    # The shop's now lies somewhere in the day after the stamp's: five days back is too old.
    rows = table(["fresh", "old"], [today - DAY, today - DAY * 5], seed=1)
    publish(store, path, rows)
    assert asked(store, ["fresh", "old"]) == [NOTHING, NOTHING]  # By the wall clock, long ago.
    keep_stamp(address, StoreStamp({}, day, 1, "replay"))
    assert repr(asked(store, ["fresh", "old"])) == repr([values(rows)[0], NOTHING])
    keep_stamp(address, StoreStamp({}, day + DAY * 4, 2, "replay"))
    assert asked(store, ["fresh", "old"]) == [NOTHING, NOTHING]
    keep_stamp(address, StoreStamp({}, day, 3, "live"))
    assert asked(store, ["fresh"]) == [NOTHING]


def test_another_process_reads_what_was_written(store, path, address, tmp_path):
    publish(store, path, rows_at(NOW, seed=1))
    again = open_ours(tmp_path, address)
    assert repr(asked(again, IDS)) == repr(values(rows_at(NOW, seed=1)))


def test_a_publication_that_breaks_off_is_not_seen(store, path):
    publish(store, path, rows_at(NOW - DAY, seed=1))
    view = store.get_feature_view("every_type")

    def breaking() -> Iterator:
        batch = rows_at(NOW, seed=2).combine_chunks().to_batches()[0]
        yield from chunks_of_batch(view, batch, moments="event_timestamp")
        raise OSError("the source broke off")

    with pytest.raises(OSError, match="broke off"):
        online_store(store).write(store.config, view, breaking())
    assert repr(asked(store, IDS)) == repr(values(rows_at(NOW - DAY, seed=1)))


def test_a_reader_sees_each_publication_whole(store, path, address, tmp_path):
    ids = [f"e{n}" for n in range(400)]
    view = store.get_feature_view("every_type")
    base = table(ids, [NOW] * len(ids), seed=1)
    done = threading.Event()
    seen: set[int] = set()
    torn: list[set] = []

    def read() -> None:
        reader = open_ours(tmp_path, address)
        while not done.is_set():
            answer = reader.get_online_features(REFS[:2], entity_rows={"thing_id": ids}).to_dict()
            versions = set(answer["an_int64"])
            seen.update(versions)
            if len(versions) > 1 or set(answer["an_int32"]) != versions:
                torn.append(versions)

    def write(version: int) -> None:
        numbers = {"an_int32": pa.int32(), "an_int64": pa.int64()}
        columns = {n: pa.array([version] * len(ids), kind) for n, kind in numbers.items()}
        rows = base
        for name, column in columns.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        # Several chunks, as a large publication has.
        chunks = (
            chunk
            for batch in rows.to_batches(max_chunksize=150)
            for chunk in chunks_of_batch(view, batch, moments="event_timestamp")
        )
        online_store(store).write(store.config, view, chunks)

    write(0)
    reader = threading.Thread(target=read)
    reader.start()
    version = 0
    while version < 12 or len(seen) < 4:
        version += 1
        write(version)
    done.set()
    reader.join()
    assert torn == []


def test_one_entity_can_be_removed(store, path):
    publish(store, path, rows_at(NOW, seed=1))
    view = store.get_feature_view("every_type")
    gone = entity_keys({"thing_id": pa.array(["käse", "nobody"])}, {"thing_id": "STRING"})
    online_store(store).drop(store.config, table_of(store.config, view), gone.to_pylist())
    assert repr(asked(store, ["plain", "käse"])) == repr([values(rows_at(NOW, seed=1))[0], NOTHING])


def test_a_changed_view_never_misreads_what_was_written_before(store, path, tmp_path, address):
    rows = rows_at(NOW, seed=1)
    publish(store, path, rows)
    before = online_store(store).generation(store.config, view_over(path)[1])
    types = {name: dtype for name, (dtype, _) in TYPES.items() if name != "a_bool"}
    thing, view = view_over(path, types={"added": Int64, **types, "an_int32": String})
    store.apply([thing, view])
    assert online_store(store).generation(store.config, view) != before
    refs = [f"every_type:{name}" for name in ("added", "an_int32", "an_int64", "strings")]
    answer = store.get_online_features(refs, entity_rows={"thing_id": IDS})
    got = answer.to_dict()
    assert got["added"] == got["an_int32"] == [None] * len(IDS)
    assert got["an_int64"] == rows["an_int64"].to_pylist()
    assert got["strings"] == rows["strings"].to_pylist()
    by_name = dict(zip(answer.proto.metadata.feature_names.val, answer.proto.results, strict=True))
    assert set(by_name["added"].statuses) == {3}  # NOT_FOUND: nobody ever wrote it.
    columns = {"added": pa.array([7]), "an_int32": pa.array(["now a text"])}
    half = rows.slice(0, 1).drop_columns(["an_int32", "a_bool"])
    for name, column in columns.items():
        half = half.append_column(name, column)
    publish(store, path, half)
    got = store.get_online_features(refs, entity_rows={"thing_id": IDS}).to_dict()
    assert got["added"] == [7, *[None] * (len(IDS) - 1)]
    assert got["an_int32"] == ["now a text", *[None] * (len(IDS) - 1)]
    assert got["strings"] == rows["strings"].to_pylist()


def test_a_removed_view_leaves_nothing_behind(store, path):
    publish(store, path, rows_at(NOW, seed=1))
    thing, view = view_over(path)
    before = online_store(store).generation(store.config, view)
    store.apply([thing], objects_to_delete=[view], partial=False)
    store.apply([thing, view])
    assert asked(store, IDS[:3]) == [NOTHING] * 3
    assert online_store(store).generation(store.config, view) != before
    assert list(online_store(store).events(store.config, table_of(store.config, view))) == []


def test_all_entities_and_their_event_times_can_be_walked(store, path):
    rows = table(IDS, [NOW - timedelta(seconds=n) for n in range(len(IDS))], seed=1)
    publish(store, path, rows)
    view = store.get_feature_view("every_type")
    walked = online_store(store).events(store.config, table_of(store.config, view))
    held = {key: moment for part in walked for key, moment in zip(*part, strict=True)}
    keys = entity_keys({"thing_id": rows["thing_id"]}, {"thing_id": "STRING"}).to_pylist()
    due = rows["event_timestamp"].cast(pa.int64()).to_pylist()
    assert held == dict(zip(keys, due, strict=True))


def test_rows_without_entity_or_event_time_are_refused(store, path):
    view = store.get_feature_view("every_type")
    for column in ("thing_id", "event_timestamp"):
        rows = rows_at(NOW, seed=1, ids=["a", "b"])
        at = rows.schema.get_field_index(column)
        holes = pa.array([None, rows[column][1].as_py()], rows.schema.field(column).type)
        batch = rows.set_column(at, column, holes).combine_chunks().to_batches()[0]
        with pytest.raises(ValueError, match="1 rows have no"):
            chunks = chunks_of_batch(view, batch, moments="event_timestamp")
            online_store(store).write(store.config, view, chunks)
    assert asked(store, ["a", "b"]) == [NOTHING] * 2


def test_teardown_takes_everything_away(store, path, address, tmp_path):
    publish(store, path, rows_at(NOW, seed=1))
    store.teardown()
    again = open_ours(tmp_path, address)
    again.apply(view_over(path))
    assert asked(again, IDS[:3]) == [NOTHING] * 3


def many(moment: datetime, *, version: int, count: int = 25_000) -> pa.Table:
    """More rows than Redis takes in one script, of two numbers each."""
    ids = [f"e{n}" for n in range(count)]
    numbers = pa.array([version] * count, pa.int64())
    moments = pa.array([moment] * count, pa.timestamp("us", tz="UTC"))
    return pa.table(
        {"thing_id": ids, "event_timestamp": moments, "an_int64": numbers, "a_string": ids}
    )


NARROW = {"an_int64": Int64, "a_string": String}


def versions(store: FeatureStore, ids: list[str]) -> list[int]:
    refs = ["every_type:an_int64"]
    return store.get_online_features(refs, entity_rows={"thing_id": ids}).to_dict()["an_int64"]


def test_a_large_table_is_filled_and_written_over_by_event_time(address, tmp_path, path):
    store = open_ours(tmp_path, address)
    store.apply(view_over(path, types=NARROW))
    sample = [f"e{n}" for n in range(0, 25_000, 97)]
    publish(store, path, many(NOW, version=1))
    assert versions(store, sample) == [1] * len(sample)
    publish(store, path, many(NOW - DAY, version=2))
    assert versions(store, sample) == [1] * len(sample)
    publish(store, path, many(NOW + DAY, version=3))
    assert versions(store, sample) == [3] * len(sample)


def test_an_entity_met_twice_in_an_empty_table_keeps_its_newest_row(address, tmp_path, path):
    store = open_ours(tmp_path, address)
    store.apply(view_over(path, types=NARROW))
    view = store.get_feature_view("every_type")
    rows = [many(NOW + DAY * n, version=n) for n in (1, 3, 2)]
    chunks = (
        chunk
        for part in rows
        for batch in part.to_batches()
        for chunk in chunks_of_batch(view, batch, moments="event_timestamp")
    )
    assert online_store(store).write(store.config, view, chunks) == 75_000
    assert set(versions(store, [f"e{n}" for n in range(25_000)])) == {3}


def test_a_newer_row_written_while_an_empty_table_is_filled_stays(address, tmp_path, path):
    """Another writer comes between two chunks: it waits (a transaction), or is compared (Redis)."""
    store = open_ours(tmp_path, address)
    store.apply(view_over(path, types=NARROW))
    view = store.get_feature_view("every_type")
    table_name = table_of(store.config, view)
    online_store(store).generation(store.config, view)
    last = ["e24999"]
    newer = many(NOW + DAY, version=9).slice(24_999)

    def write_newer() -> None:
        other = open_ours(tmp_path, address)
        batch = newer.combine_chunks().to_batches()[0]
        chunks = chunks_of_batch(view, batch, moments="event_timestamp")
        online_store(other).put(other.config, table_name, chunks)

    beside = threading.Thread(target=write_newer)

    def filling() -> Iterator:
        for batch in many(NOW, version=1).to_batches(max_chunksize=22_000):
            yield from chunks_of_batch(view, batch, moments="event_timestamp")
            if not beside.ident:
                beside.start()
                beside.join(0.5)

    online_store(store).put(store.config, table_name, filling())
    beside.join()
    assert versions(store, last) == [9]
    assert versions(store, ["e0", "e24998"]) == [1, 1]
