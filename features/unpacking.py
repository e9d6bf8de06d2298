"""Packed records in, Arrow columns out."""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.kinds import Form, Kind
from features.layout import Layout

Bools = npt.NDArray[np.bool_]


def unpack(records: Sequence[bytes], layout: Layout, names: Sequence[str]) -> dict[str, pa.Array]:
    """The asked-for fields that the layout has, as their kinds' Arrow types.

    Args:
        records: All of this layout; ``layout.blank`` where there is none.
        layout: What they are made of.
        names: Fields; those the layout does not have are left out.
    """
    head = layout.head
    size = head.itemsize
    rows = np.frombuffer(b"".join([record[:size] for record in records]), dtype=head)
    is_null = np.unpackbits(rows["nulls"], axis=1, bitorder="little").view(bool)
    columns: dict[str, pa.Array] = {}
    for name in names:
        if name not in layout.fields:
            continue
        kind = layout.fields[name]
        at = layout.position[name]
        if kind.is_fixed:
            columns[name] = _numbers(rows[f"f{at}"], kind, is_null[:, at])
        else:
            bodies = _bodies(records, rows["ends"], layout.loose.index(name), size)
            columns[name] = _values(bodies, kind, is_null[:, at])
    return columns


def _bodies(records: Sequence[bytes], ends: npt.NDArray, at: int, size: int) -> list[bytes]:
    """Each record's bytes of one field of other width."""
    stops = (ends[:, at] + size).tolist()
    starts = (ends[:, at - 1] + size).tolist() if at else [size] * len(records)
    return [record[start:stop] for record, start, stop in zip(records, starts, stops, strict=True)]


def _numbers(values: npt.NDArray, kind: Kind, is_null: Bools) -> pa.Array:
    values = np.ascontiguousarray(values)
    if pa.types.is_boolean(kind.arrow):
        values = values.view(bool)
    validity = pa.py_buffer(np.packbits(~is_null, bitorder="little")) if is_null.any() else None
    data = np.packbits(values, bitorder="little") if pa.types.is_boolean(kind.arrow) else values
    return pa.Array.from_buffers(kind.arrow, len(values), [validity, pa.py_buffer(data)])


def _values(bodies: Sequence[bytes], kind: Kind, is_null: Bools) -> pa.Array:
    if kind.form in (Form.TEXT, Form.MESSAGE):
        return pa.array(bodies, pa.binary(), mask=is_null).cast(kind.arrow)
    if kind.form is Form.NUMBERS:
        width = kind.number.itemsize
        counts = np.fromiter(map(len, bodies), np.int64, len(bodies)) // width
        flat = np.frombuffer(b"".join(bodies), dtype=kind.number)
        elements = _numbers(flat, _element(kind), np.zeros(len(flat), dtype=bool))
    else:
        counts, elements = _texts(bodies, kind)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), elements, type=kind.arrow, mask=pa.array(is_null)
    )


def _texts(bodies: Sequence[bytes], kind: Kind) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """How many texts each list has, and all of them."""
    counts = [struct.unpack_from("<I", body)[0] if body else 0 for body in bodies]
    lengths = [body[4 : 4 + 4 * count] for body, count in zip(bodies, counts, strict=True)]
    texts = [body[4 + 4 * count :] for body, count in zip(bodies, counts, strict=True)]
    sizes = np.frombuffer(b"".join(lengths), dtype="<u4")
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    elements = pa.Array.from_buffers(kind.arrow.value_type, len(sizes), buffers)
    return np.asarray(counts, dtype=np.int64), elements


def _element(kind: Kind) -> Kind:
    return Kind(kind.name, Form.NUMBER, kind.arrow.value_type, kind.number, kind.proto)
