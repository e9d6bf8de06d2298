"""Arrow columns in, packed records and serialized entity keys out: no Python object per value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from feast import ValueType
from feast.infra.key_encoding_utils import serialize_entity_key_prefix
from feast.protos.feast.types.Value_pb2 import ValueType as ProtoType
from feast.type_map import python_values_to_proto_values

from features.kinds import KINDS, Form, Kind
from features.layout import Layout
from features.ragged import fixed_rows, grouped, joined, lengths_of, rows_of, text_rows

_KEY_NUMBERS: Final = {"INT32": "<i4", "INT64": "<i8", "UNIX_TIMESTAMP": "<i8"}
_KEY_TEXTS: Final = ("STRING", "BYTES")
_KEY_VERSION: Final = 3


@dataclass(frozen=True)
class Chunk:
    """Rows to be written together, one per entity.

    Attributes:
        keys: Entity keys, serialized as Feast does.
        event_us: When each row happened, microseconds since 1970.
        records: The packed features.
    """

    keys: pa.LargeBinaryArray
    event_us: npt.NDArray[np.int64]
    records: pa.LargeBinaryArray

    def __len__(self) -> int:
        return len(self.keys)

    def newest(self) -> "Chunk":
        """The newest row of each entity; of two that happened together, the later one."""
        if pc.count_distinct(self.keys).as_py() == len(self.keys):
            return self
        codes = self.keys.dictionary_encode().indices.to_numpy()
        order = np.lexsort((np.arange(len(codes)), self.event_us, codes))
        is_last = np.append(np.diff(codes[order]) != 0, True)
        keep = np.sort(order[is_last])
        rows = pa.array(keep)
        return Chunk(self.keys.take(rows), self.event_us[keep], self.records.take(rows))


def pack(columns: Mapping[str, pa.Array], layout: Layout) -> pa.LargeBinaryArray:
    """One record per row.

    Args:
        columns: Every field of the layout; any type that casts to the field's without loss.
        layout: What the records are made of.

    Raises:
        ValueError: If a list of numbers other than floats holds a null: Feast has no such value.
    """
    count = len(next(iter(columns.values())))
    head = np.zeros(count, dtype=layout.head)
    head["id"] = layout.id
    is_null = np.zeros((count, len(layout.fields)), dtype=bool)
    bodies: list[pa.LargeBinaryArray] = []
    end = np.zeros(count, dtype=np.int64)
    for name, kind in layout.fields.items():
        column = stored(columns[name], kind, name=name)
        at = layout.position[name]
        is_null[:, at] = column.is_null().to_numpy(zero_copy_only=False)
        if kind.is_fixed:
            head[f"f{at}"] = numbers_of(column, kind)
            continue
        bodies.append(_body(column, kind, name=name))
        end = end + lengths_of(bodies[-1])
        head["ends"][:, layout.loose.index(name)] = end
    head["nulls"] = np.packbits(is_null, axis=1, bitorder="little")
    return joined(fixed_rows(head), *bodies)


def entity_keys(columns: Mapping[str, pa.Array], types: Mapping[str, str]) -> pa.LargeBinaryArray:
    """Each row's entity key, byte for byte as ``feast…serialize_entity_key`` (version 3) does.

    Args:
        columns: The join keys' columns.
        types: Join key → ``ValueType`` name.

    Raises:
        ValueError: If a join key is null, or of a type Feast does not take as one.
    """
    names = sorted(types)
    pieces: list[pa.LargeBinaryArray | bytes] = [serialize_entity_key_prefix(names, _KEY_VERSION)]
    for name in names:
        pieces.extend(_key_value(whole(columns[name]), types[name], name=name))
    count = len(columns[names[0]])
    return joined(*pieces, rows_of(np.zeros(count + 1, dtype=np.int64), b""))


def event_microseconds(column: pa.Array) -> npt.NDArray[np.int64]:
    """Event times as microseconds since 1970, UTC; a naive time is UTC.

    Raises:
        ValueError: If one is null.
    """
    column = whole(column)
    if column.null_count:
        raise ValueError(f"{column.null_count} rows have no event time")
    unit = pa.timestamp("us", tz=getattr(column.type, "tz", None))
    return column.cast(unit, safe=False).cast(pa.int64()).to_numpy()


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of what may come in several."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def stored(column: pa.Array | pa.ChunkedArray, kind: Kind, *, name: str) -> pa.Array:
    """The column as the type it is kept in; timestamps lose what is below a second."""
    column = whole(column)
    if kind.form is Form.MESSAGE:
        return _messages(column, kind)
    if column.type.equals(kind.arrow):
        return column
    try:
        return column.cast(kind.arrow, safe="TIMESTAMP" not in kind.name)
    except pa.ArrowInvalid as error:
        raise ValueError(f"feature {name}: expected {kind.arrow}: {error}") from error


def numbers_of(column: pa.Array, kind: Kind) -> npt.NDArray:
    """A column of numbers as numpy; null is 0."""
    if kind.arrow != column.type and not pa.types.is_list(kind.arrow):
        raise ValueError(f"expected {kind.arrow}, got {column.type}")
    if pa.types.is_boolean(column.type):
        return column.fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint8)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.fill_null(0).to_numpy()


def raw_numbers(column: pa.Array) -> npt.NDArray:
    """A column of numbers as numpy, as it lies in memory; what stands for a null is anything."""
    if pa.types.is_boolean(column.type):
        return numbers_of(column, KINDS["BOOL"]).view(bool)
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    is_moment = pa.types.is_timestamp(column.type)
    dtype = np.dtype("<i8") if is_moment else column.type.to_pandas_dtype()
    held = np.frombuffer(column.buffers()[1], dtype=dtype)
    return held[column.offset : column.offset + len(column)]


def list_offsets(column: pa.Array) -> npt.NDArray[np.int64]:
    """Where each list begins among all elements (``column.flatten()``); null lists are empty."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _body(column: pa.Array, kind: Kind, *, name: str) -> pa.LargeBinaryArray:
    """The bytes of each value of a field without a fixed width."""
    if kind.form in (Form.TEXT, Form.MESSAGE):
        return text_rows(column)
    offsets = list_offsets(column)
    elements = column.flatten()
    if kind.form is Form.NUMBERS:
        return grouped(fixed_rows(elements_of(elements, kind, name=name)), offsets)
    texts = text_rows(elements)
    counts = fixed_rows(np.diff(offsets).astype("<u4"))
    lengths = grouped(fixed_rows(lengths_of(texts).astype("<u4")), offsets)
    return joined(counts, lengths, grouped(texts, offsets))


def elements_of(elements: pa.Array, kind: Kind, *, name: str) -> npt.NDArray:
    """The numbers of all lists, one after another; a null float is NaN, as in Feast."""
    if elements.null_count:
        if not pa.types.is_floating(elements.type):
            raise ValueError(f"feature {name}: {elements.null_count} nulls inside lists")
        elements = elements.fill_null(float("nan"))
    if pa.types.is_boolean(elements.type):
        return elements.to_numpy(zero_copy_only=False).astype(np.uint8)
    if pa.types.is_timestamp(elements.type):
        elements = elements.cast(pa.int64())
    return elements.to_numpy()


def _messages(column: pa.Array, kind: Kind) -> pa.Array:
    """Serialized ``Value``s, made by Feast one by one; an empty one is null."""
    if pa.types.is_binary(column.type):
        return column
    plain = column.to_pylist()
    if pa.types.is_map(column.type):
        plain = [None if pairs is None else dict(pairs) for pairs in plain]
    values = python_values_to_proto_values(plain, ValueType[kind.name])
    texts = [value.SerializeToString() or None for value in values]
    return pa.array(texts, pa.binary())


def _key_value(column: pa.Array, kind: str, *, name: str) -> Sequence[pa.LargeBinaryArray | bytes]:
    if column.null_count:
        raise ValueError(f"{column.null_count} rows have no {name}")
    kind_bytes = ProtoType.Enum.Value(kind).to_bytes(4, "little")
    if kind in _KEY_TEXTS:
        text = text_rows(column)
        return [kind_bytes, fixed_rows(lengths_of(text).astype("<u4")), text]
    if kind not in _KEY_NUMBERS:
        raise ValueError(f"join key {name}: Feast takes no {kind} as one")
    numbers = column.cast(pa.int64()).to_numpy().astype(_KEY_NUMBERS[kind])
    return [kind_bytes, numbers.dtype.itemsize.to_bytes(4, "little"), fixed_rows(numbers)]
