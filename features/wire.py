"""Arrow columns in, Feast's protobuf answers out, without a Python object per value.

A column's ``FeatureVector`` is written as bytes with numpy; protobuf parses a view's in one call.
Numbers are written as varints of full length, which every protobuf reader takes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from feast.protos.feast.serving.ServingService_pb2 import (
    FieldStatus,
    GetOnlineFeaturesResponse,
)

from features.kinds import Form, Kind
from features.packing import elements_of, list_offsets, raw_numbers
from features.ragged import fixed_rows, grouped, joined, lengths_of, memory_of, text_rows

FeatureVector = GetOnlineFeaturesResponse.FeatureVector
Bools = npt.NDArray[np.bool_]

_VALUES: Final = b"\x0a"  # Field 1 of FeatureVector, and field 1 of every list: bytes follow.
_STATUSES: Final = b"\x12"
_RESULTS: Final = b"\x12"  # Of the whole answer.
_MOMENTS: Final = b"\x1a"
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MICROSECOND: Final = 1_000_000


def feature_vectors(
    columns: Mapping[str, pa.Array],
    kinds: Mapping[str, Kind],
    *,
    found: Mapping[str, Bools],
    moments: bytes,
) -> list[bytes]:
    """Features of the same rows, each as a serialized ``FeatureVector``, in order.

    Args:
        columns: Feature → values, as ``unpack`` gives them.
        kinds: Feature → kind; of more features too.
        found: Feature → which rows the store holds; the others are NOT_FOUND.
        moments: What ``event_moments`` gave for these rows.
    """
    values: dict[str, bytes | memoryview] = {}
    for kind in {kinds[name].name: kinds[name] for name in columns}.values():
        alike = [name for name in columns if kinds[name].name == kind.name]
        if kind.form is Form.NUMBER:
            values |= zip(alike, _number_values([columns[n] for n in alike], kind), strict=True)
            continue
        for name in alike:
            values[name] = memory_of(joined(_VALUES, _sized(_messages(columns[name], kind))))
    different = {id(rows): rows for rows in found.values()}  # Mostly one array for all.
    statuses = {key: _statuses(rows) for key, rows in different.items()}
    return [b"".join([values[name], statuses[id(found[name])], moments]) for name in columns]


def results(vectors: Sequence[bytes]) -> bytes:
    """These vectors as the results of an answer: what ``MergeFromString`` adds to one."""
    sizes = _varints(np.array([len(vector) for vector in vectors]))
    return b"".join(
        piece
        for size, vector in zip(sizes, vectors, strict=True)
        for piece in (_RESULTS, size.tobytes(), vector)
    )


def event_moments(event_us: npt.NDArray[np.int64], is_found: Bools) -> bytes:
    """The rows' event times as the answer's last field; empty where there is no row."""
    seconds, rest = np.divmod(event_us, _MICROSECOND)
    parts = np.zeros(
        len(event_us), dtype=[("s", "u1"), ("sv", "u1", 10), ("n", "u1"), ("nv", "u1", 10)]
    )
    parts["s"], parts["sv"] = 1 << 3 | _VARINT, _varints(seconds)
    parts["n"], parts["nv"] = 2 << 3 | _VARINT, _varints(rest * 1_000)
    return bytes(memory_of(joined(_MOMENTS, _sized(_kept(parts, is_found)))))


def _messages(column: pa.Array, kind: Kind) -> pa.LargeBinaryArray:
    """One serialized ``Value`` per row; a null is an empty one."""
    is_valid = column.is_valid().to_numpy(zero_copy_only=False)
    if kind.form is Form.MESSAGE:
        return text_rows(column)
    body = text_rows(column) if kind.form is Form.TEXT else _list(column, kind)
    return _where(is_valid, joined(_tag(kind.tag, _BYTES), _sized(body)))


def _number_values(columns: Sequence[pa.Array], kind: Kind) -> list[bytes]:
    """All values of columns of one kind of number, tags and sizes included, in one numpy array."""
    values = np.stack([raw_numbers(column) for column in columns])
    if values.dtype.kind == "f":
        wire, coded, width = _EIGHT if values.dtype.itemsize == 8 else _FOUR, values, values.dtype
    else:
        wire, coded, width = _VARINT, _varints(values), np.dtype(("u1", 10))
    size = 1 + np.dtype(width).itemsize
    parts = np.zeros(
        values.shape, dtype=[("field", "S1"), ("size", "u1"), ("tag", "u1"), ("value", width)]
    )
    parts["field"], parts["size"] = _VALUES, size
    parts["tag"], parts["value"] = kind.tag << 3 | wire, coded
    return [
        _without_nulls(row, column) if column.null_count else row.tobytes()
        for row, column in zip(parts, columns, strict=True)
    ]


def _without_nulls(parts: npt.NDArray, column: pa.Array) -> bytes:
    """A null is a value without content: its field, and the size 0."""
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    parts["size"][is_null] = 0
    flat = parts.view(np.uint8).reshape(len(parts), -1)
    keep = np.ones(flat.shape, dtype=bool)
    keep[is_null, 2:] = False
    return flat[keep].tobytes()


def _statuses(is_found: Bools) -> bytes:
    statuses = np.where(is_found, FieldStatus.PRESENT, FieldStatus.NOT_FOUND).astype(np.uint8)
    return b"".join([_STATUSES, _varints(np.array([len(statuses)])).tobytes(), statuses.tobytes()])


def _list(column: pa.Array, kind: Kind) -> pa.LargeBinaryArray:
    """The list message of each row, without its own size."""
    offsets = list_offsets(column)
    elements = column.flatten()
    if kind.form is Form.TEXTS:
        return grouped(joined(_VALUES, _sized(text_rows(elements))), offsets)
    values = elements_of(elements, kind, name="")
    is_plain = values.dtype.kind == "f" or values.dtype == np.uint8
    packed = grouped(fixed_rows(values if is_plain else _varints(values)), offsets)
    return joined(_VALUES, _sized(packed))


def _sized(rows: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Each row behind its own length: five bytes, enough for anything protobuf takes."""
    sizes = lengths_of(rows).astype(np.uint64)[:, None]
    digits = (sizes >> np.arange(0, 35, 7, dtype=np.uint64)) & np.uint64(0x7F)
    coded = digits.astype(np.uint8) | np.array([0x80] * 4 + [0], dtype=np.uint8)
    return joined(fixed_rows(coded), rows)


def _varints(values: npt.NDArray) -> npt.NDArray[np.uint8]:
    """Integers as ten bytes each; negative ones as protobuf wants them, 64 bits wide."""
    wide = values.astype(np.int64).view(np.uint64)[..., None]
    digits = (wide >> np.arange(0, 70, 7, dtype=np.uint64)) & np.uint64(0x7F)
    return digits.astype(np.uint8) | np.array([0x80] * 9 + [0], dtype=np.uint8)


def _tag(field: int, wire: int) -> bytes:
    """A field's number and form, as protobuf begins it."""
    number = field << 3 | wire
    return bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80, number >> 7])


def _kept(parts: npt.NDArray, keep: Bools) -> pa.LargeBinaryArray:
    """Each element's memory where ``keep`` holds, nothing elsewhere."""
    return _where(keep, fixed_rows(parts))


def _where(keep: Bools, rows: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    if keep.all():
        return rows
    return text_rows(pc.if_else(pa.array(keep), rows, pa.scalar(None, rows.type)))
