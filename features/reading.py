"""Read one feature view online, as Arrow columns with the event time of each row."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.type_map import NULL_TIMESTAMP_INT_VALUE

CHUNK: Final = 1_000
"""Entities per call: Feast builds one protobuf message per value of a call."""


def event_seconds(store: FeatureStore, view: FeatureView, ids: Sequence[str]) -> list[int]:
    """When each entity's row happened, whole seconds since 1970; 0 where the store has none."""
    first = view.features[0].name
    return [
        stamp.seconds
        for chunk in _chunks(ids)
        for stamp in _answers(store, view, [first], chunk)[first].event_timestamps
    ]


def read_view(
    store: FeatureStore, view: FeatureView, ids: Sequence[str], *, types: dict[str, pa.DataType]
) -> tuple[list[int], dict[str, pa.Array]]:
    """Event times (as ``event_seconds``) and the columns of ``types``, in the order of ``ids``.

    What the store lacks is null. Timestamps are whole seconds: that is what Feast keeps.
    """
    seconds: list[int] = []
    values: dict[str, list[Any]] = {name: [] for name in types}
    for chunk in _chunks(ids):
        answers = _answers(store, view, list(types), chunk)
        for name, column in values.items():
            column.extend(_plain(value) for value in answers[name].values)
        seconds.extend(stamp.seconds for stamp in answers[next(iter(types))].event_timestamps)
    return seconds, {name: _array(column, types[name]) for name, column in values.items()}


def _answers(
    store: FeatureStore, view: FeatureView, names: list[str], ids: Sequence[str]
) -> dict[str, Any]:
    entity = view.entity_columns[0].name
    response = store.get_online_features(
        features=[f"{view.name}:{name}" for name in names], entity_rows={entity: list(ids)}
    ).proto
    return dict(zip(response.metadata.feature_names.val, response.results, strict=True))


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("val")
    if kind is None:
        return None
    content = getattr(value, kind)
    return content.val if kind.endswith("_list_val") else content


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        known = [
            None if value is None or value == NULL_TIMESTAMP_INT_VALUE else value * 1_000_000
            for value in values
        ]
        return pa.array(known, pa.int64()).cast(kind)
    return pa.array(values, kind)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK)]
