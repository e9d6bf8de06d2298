"""Columns to bytes and back, on their own: no store, no server."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from features.kinds import KINDS
from features.layout import Layout, layout_from
from features.packing import Chunk, entity_keys, pack
from features.sending import CHUNK_BYTES, chunks_of
from features.unpacking import unpack
from features.wire import FeatureVector, event_moments, feature_vectors
from tests.features.every_type import TYPES, table

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAYOUT = Layout({name: KINDS[dtype.to_value_type().name] for name, (dtype, _) in TYPES.items()})


def columns_of(rows: pa.Table) -> dict[str, pa.Array]:
    return {name: rows[name].combine_chunks() for name in TYPES}


def feasts_key(**values: Value) -> bytes:
    key = EntityKey(join_keys=list(values), entity_values=list(values.values()))
    return serialize_entity_key(key, entity_key_serialization_version=3)


def test_entity_keys_are_feasts_byte_for_byte():
    columns = {
        "user_id": pa.array(["", "ü", "店"]),
        "item_id": pa.array([0, -1, 2**62]),
        "blob": pa.array([b"\0", b"", b"x" * 99]),
    }
    types = {"user_id": "STRING", "item_id": "INT64", "blob": "BYTES"}
    expected = [
        feasts_key(
            user_id=Value(string_val=user),
            item_id=Value(int64_val=item),
            blob=Value(bytes_val=blob),
        )
        for user, item, blob in zip(*(c.to_pylist() for c in columns.values()), strict=True)
    ]
    assert entity_keys(columns, types).to_pylist() == expected
    alone = entity_keys({"n": pa.array([5, -5], pa.int32())}, {"n": "INT32"}).to_pylist()
    assert alone == [feasts_key(n=Value(int32_val=n)) for n in (5, -5)]


def test_a_join_key_that_feast_refuses_is_refused():
    with pytest.raises(ValueError, match="takes no DOUBLE"):
        entity_keys({"x": pa.array([1.0])}, {"x": "DOUBLE"})


def test_parts_of_arrays_are_packed_like_arrays_of_their_own():
    rows = table([f"t{n}" for n in range(50)], [NOW] * 50, seed=4)
    whole = pack(columns_of(rows), LAYOUT).to_pylist()
    parts = {name: column.slice(13, 20) for name, column in columns_of(rows).items()}
    assert pack(parts, LAYOUT).to_pylist() == whole[13:33]


def test_what_hides_below_a_null_is_not_kept():
    offsets, values = pa.array([0, 2, 4], pa.int32()), pa.array([1.0, 2.0, 3.0, 4.0], pa.float32())
    lists = pa.ListArray.from_arrays(offsets, values, mask=pa.array([True, False]))
    layout = Layout({"floats": KINDS["FLOAT_LIST"]})
    records = pack({"floats": lists}, layout)
    assert len(records[0].as_py()) == layout.head.itemsize
    assert unpack(records.to_pylist(), layout, ["floats"])["floats"].to_pylist() == [None, [3, 4]]


def test_a_layout_is_known_by_its_fields_their_types_and_their_order():
    fields = dict(LAYOUT.fields)
    assert layout_from(LAYOUT.text).id == LAYOUT.id
    other = {**fields, "an_int32": KINDS["INT64"]}
    turned = dict(reversed(fields.items()))
    assert len({LAYOUT.id, Layout(other).id, Layout(turned).id}) == 3


def test_a_null_inside_a_list_is_nan_or_empty_or_refused_never_dropped():
    def kept(kind: str, values: list) -> list:
        layout = Layout({"x": KINDS[kind]})
        records = pack({"x": pa.array([values], KINDS[kind].arrow)}, layout).to_pylist()
        return unpack(records, layout, ["x"])["x"].to_pylist()[0]

    assert kept("STRING_LIST", ["a", None]) == ["a", ""]
    assert repr(kept("DOUBLE_LIST", [1.0, None])) == "[1.0, nan]"
    with pytest.raises(ValueError, match="feature x: 1 nulls inside lists"):
        kept("INT64_LIST", [1, None])


def test_a_column_that_does_not_fit_its_feature_is_refused_by_name():
    layout = Layout({"count": KINDS["INT32"]})
    with pytest.raises(ValueError, match="feature count"):
        pack({"count": pa.array([2**40])}, layout)


def test_chunks_are_bounded_in_bytes_however_wide_a_row_is():
    text = "x" * (CHUNK_BYTES // 4)
    layout = Layout({"text": KINDS["STRING"]})
    columns = {"text": pa.array([text] * 10)}
    keys = [b"%d" % n for n in range(10)]
    chunks = list(chunks_of(layout, columns, keys, np.zeros(10, dtype=np.int64)))
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 1]
    assert [key for chunk in chunks for key in chunk.keys.to_pylist()] == keys


def test_of_rows_of_one_moment_the_later_one_wins():
    keys = pa.array([b"a", b"b", b"a", b"a"], pa.large_binary())
    records = pa.array([b"1", b"2", b"3", b"4"], pa.large_binary())
    newest = Chunk(keys, np.array([7, 5, 7, 6]), records).newest()
    assert dict(zip(newest.keys.to_pylist(), newest.records.to_pylist(), strict=True)) == {
        b"a": b"3",
        b"b": b"2",
    }


def test_feasts_protobuf_reads_what_is_written_for_it():
    rows = table([f"t{n}" for n in range(200)], [NOW] * 200, seed=9)
    found = np.arange(200) % 3 != 0
    moments = event_moments(np.arange(200) * 1_000_003 - 10**8, found)
    columns = unpack(pack(columns_of(rows), LAYOUT).to_pylist(), LAYOUT, list(TYPES))
    where = dict.fromkeys(columns, found)
    vectors = feature_vectors(columns, LAYOUT.fields, found=where, moments=moments)
    assert list(columns) == list(TYPES)
    for (name, kind), text in zip(LAYOUT.fields.items(), vectors, strict=True):
        vector = FeatureVector.FromString(text)
        held = [value.WhichOneof("val") for value in vector.values]
        assert held == [None if v is None else kind.proto for v in rows[name].to_pylist()]
        assert list(vector.statuses) == [1 if f else 3 for f in found]
        assert vector.event_timestamps[199].ToMicroseconds() == 199 * 1_000_003 - 10**8
        assert vector.event_timestamps[0].ToNanoseconds() == 0


def test_a_type_without_a_form_of_its_own_is_kept_as_feasts_message():
    layout = Layout({"json": KINDS["JSON"], "map": KINDS["MAP"]})
    columns = {"json": pa.array(['{"a": 1}', None]), "map": pa.array([None, [("k", "v")]], MAP)}
    records = pack(columns, layout).to_pylist()
    read = unpack(records, layout, ["json", "map"])
    where = dict.fromkeys(read, np.array([True, True]))
    made = feature_vectors(read, layout.fields, found=where, moments=b"")
    vectors = {
        name: FeatureVector.FromString(text).values for name, text in zip(read, made, strict=True)
    }
    assert vectors["json"][0].json_val == '{"a": 1}'
    assert vectors["json"][1].WhichOneof("val") is None
    assert vectors["map"][1].map_val.val["k"].string_val == "v"


MAP = pa.map_(pa.string(), pa.string())
