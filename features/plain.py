"""Arrow columns in, the plain values that Feast gives its callers out: a column at a time."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
from feast import ValueType
from feast.feature_server_utils import _value_to_native
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import NULL_TIMESTAMP_INT_VALUE, feast_value_type_to_python_type

from features.kinds import Form, Kind
from features.packing import list_offsets, raw_numbers

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def python_values(column: pa.Array, kind: Kind) -> list[Any]:
    """What ``OnlineResponse.to_dict`` makes of each value; None for a null."""
    if kind.form is Form.MESSAGE:
        feature_type = ValueType[kind.name]
        return _messages(column, lambda value: feast_value_type_to_python_type(value, feature_type))
    if "TIMESTAMP" in kind.name:
        return _values(column, kind, moments)
    return _values(column, kind, lambda numbers: numbers.tolist())


def json_values(column: pa.Array, kind: Kind) -> list[Any]:
    """What Feast's server makes of each value: bytes as base64, what is no number as its name."""
    if kind.form is Form.MESSAGE:
        return _messages(column, _value_to_native)
    if kind.number is None:
        plain = column.to_pylist()
        if not kind.name.startswith("BYTES"):
            return plain
        is_list = kind.form is Form.TEXTS
        return [
            None if value is None else _each(value, _base64) if is_list else _base64(value)
            for value in plain
        ]
    return _values(column, kind, _json_numbers)


def moments(seconds: np.ndarray) -> list[datetime | None]:
    """Seconds since 1970 as Feast's moments, its null among them."""
    return [
        None if value == NULL_TIMESTAMP_INT_VALUE else datetime.fromtimestamp(value, UTC)
        for value in seconds.tolist()
    ]


def _values(column: pa.Array, kind: Kind, made: Callable[[np.ndarray], list[Any]]) -> list[Any]:
    """The column's numbers as ``made`` makes them of an array; texts as they are."""
    if kind.number is None:
        return column.to_pylist()
    if kind.form is Form.NUMBER:
        values = made(raw_numbers(column))
    else:
        elements = made(raw_numbers(column.flatten()))
        bounds = list_offsets(column).tolist()
        values = [elements[bounds[at] : bounds[at + 1]] for at in range(len(column))]
    if column.null_count:
        for at in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
            values[at] = None
    return values


def _json_numbers(numbers: np.ndarray) -> list[Any]:
    values = numbers.tolist()
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        return [_NOT_FINITE.get(str(value), value) for value in values]
    return values


def _messages(column: pa.Array, made: Callable[[Value], Any]) -> list[Any]:
    return [None if text is None else made(Value.FromString(text)) for text in column.to_pylist()]


def _each(values: Sequence[bytes], made: Callable[[bytes], str]) -> list[str]:
    return [made(value) for value in values]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
