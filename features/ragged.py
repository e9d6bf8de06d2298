"""Rows of different lengths, without a Python object per row.

Everything that is stored or sent is bytes put together from pieces: a packed record, a PostgreSQL
COPY row, a Redis command, a protobuf message. A piece is an Arrow array of bytes, one element a
row, made over memory that is already there; Arrow joins the pieces of every row in one call.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BYTES: Final = pa.large_binary()

_NOTHING: Final = pa.scalar(b"", BYTES)


def rows_of(offsets: npt.NDArray[np.int64], data: object) -> pa.LargeBinaryArray:
    """Row i is ``data[offsets[i]:offsets[i + 1]]``; nothing is copied."""
    starts = np.ascontiguousarray(offsets, dtype=np.int64)
    buffers = [None, pa.py_buffer(starts), pa.py_buffer(data)]
    return pa.Array.from_buffers(BYTES, len(starts) - 1, buffers)


def fixed_rows(values: npt.NDArray) -> pa.LargeBinaryArray:
    """Row i is the memory of ``values[i]``, whatever its numpy type."""
    values = np.ascontiguousarray(values)
    width = values.dtype.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
    return rows_of(np.arange(len(values) + 1) * width, values.reshape(-1).view(np.uint8))


def text_rows(values: pa.Array) -> pa.LargeBinaryArray:
    """Strings or bytes as rows; null is empty."""
    if values.null_count:
        values = values.fill_null("" if _is_text(values.type) else b"")
    if _is_text(values.type):
        values = values.cast(pa.large_string())
    return values.cast(BYTES)


def lengths_of(rows: pa.LargeBinaryArray) -> npt.NDArray[np.int64]:
    """Bytes in each row."""
    return np.diff(offsets_of(rows))


def offsets_of(rows: pa.LargeBinaryArray) -> npt.NDArray[np.int64]:
    """Where each row begins in the memory of all; one more than there are rows."""
    if not len(rows):
        return np.zeros(1, dtype=np.int64)
    held = np.frombuffer(rows.buffers()[1], dtype=np.int64)
    return held[rows.offset : rows.offset + len(rows) + 1]


def grouped(rows: pa.LargeBinaryArray, group_offsets: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    """Row i is the rows from ``group_offsets[i]`` to ``group_offsets[i + 1]``, put together."""
    if not len(rows):
        return rows_of(np.zeros(len(group_offsets), dtype=np.int64), b"")
    return rows_of(offsets_of(rows)[group_offsets], rows.buffers()[2])


def joined(*pieces: pa.LargeBinaryArray | bytes) -> pa.LargeBinaryArray:
    """The pieces of each row put together; plain bytes stand in every row."""
    made = [pa.scalar(piece, BYTES) if isinstance(piece, bytes) else piece for piece in pieces]
    return pc.binary_join_element_wise(*made, _NOTHING)


def memory_of(rows: pa.LargeBinaryArray) -> memoryview:
    """All rows, one after another; not copied."""
    offsets = offsets_of(rows)
    if offsets[0] == offsets[-1]:
        return memoryview(b"")
    return memoryview(rows.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
