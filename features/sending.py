"""What goes into a store: Arrow batches or Feast's protobuf rows, cut into chunks and packed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from feast import FeatureView
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import NULL_TIMESTAMP_INT_VALUE

from features.kinds import Form, Kind
from features.layout import Layout, layout_of
from features.packing import Chunk, entity_keys, event_microseconds, pack

CHUNK_ROWS: Final = 16_384
CHUNK_BYTES: Final = 32 << 20
"""A chunk is held several times over while it is written: small enough for a small machine."""


def chunks_of_batch(view: FeatureView, batch: pa.RecordBatch, *, moments: str) -> Iterator[Chunk]:
    """Pack rows whose columns are named as the view's features and join keys.

    Args:
        view: Whose rows.
        batch: Any number of rows; null entities and null event times are refused.
        moments: The column of event times.

    Raises:
        ValueError: If an entity or event time is null, or a column does not fit its feature.
    """
    layout = layout_of(view)
    types = {entity.name: entity.dtype.to_value_type().name for entity in view.entity_columns}
    columns = {name: batch.column(name) for name in layout.fields}
    keys = entity_keys({name: batch.column(name) for name in types}, types)
    yield from chunks_of(layout, columns, keys, event_microseconds(batch.column(moments)))


def chunks_of(
    layout: Layout,
    columns: Mapping[str, pa.Array],
    keys: pa.LargeBinaryArray | Sequence[bytes],
    event_us: npt.NDArray[np.int64],
) -> Iterator[Chunk]:
    """Pack columns, a bounded number of rows and bytes at a time."""
    if not isinstance(keys, pa.Array):
        keys = pa.array(keys, pa.large_binary())
    size = sum(column.nbytes for column in columns.values()) // max(len(keys), 1) + 1
    step = max(1, min(CHUNK_ROWS, CHUNK_BYTES // size))
    for at in range(0, len(keys), step):
        part = {name: column.slice(at, step) for name, column in columns.items()}
        yield Chunk(keys.slice(at, step), event_us[at : at + step], pack(part, layout)).newest()


def columns_of_values(
    view: FeatureView, rows: Sequence[Mapping[str, Value]]
) -> dict[str, pa.Array]:
    """Feast's protobuf values as columns.

    Raises:
        ValueError: If a row lacks a feature of the view: a record holds all of them.
    """
    layout = layout_of(view)
    for row in rows:
        if missing := layout.fields.keys() - row.keys():
            raise ValueError(
                f"{view.name}: a row lacks {', '.join(sorted(missing))}; rows are written whole"
            )
    return {
        name: _column([row[name] for row in rows], kind) for name, kind in layout.fields.items()
    }


def _column(values: Sequence[Value], kind: Kind) -> pa.Array:
    if kind.form is Form.MESSAGE:
        return pa.array([value.SerializeToString() or None for value in values], pa.binary())
    plain = [_plain(value) for value in values]
    if kind.name == "UNIX_TIMESTAMP":
        known = [None if value == NULL_TIMESTAMP_INT_VALUE else value for value in plain]
        return pa.array(known, pa.int64()).cast(kind.arrow)
    if kind.name == "UNIX_TIMESTAMP_LIST":
        return pa.array(plain, pa.list_(pa.int64())).cast(kind.arrow)
    return pa.array(plain, kind.arrow)


def _plain(value: Value) -> Any:
    field = value.WhichOneof("val")
    if field is None or field == "null_val":
        return None
    content = getattr(value, field)
    return list(content.val) if field.endswith("_list_val") else content
