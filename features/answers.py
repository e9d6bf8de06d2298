"""Feast's side of a read: entity keys from its request, its protobuf answers from columns."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from feast import FeatureView, utils
from feast.metrics import track_feature_statuses
from feast.protos.feast.types.Value_pb2 import Value
from feast.protos.feast.types.Value_pb2 import ValueType as ProtoType

from features.layout import layout_of
from features.packing import entity_keys
from features.records import Rows
from features.wire import FeatureVector, event_moments, feature_vectors, results

_FIELD_TYPES = {f"{name.lower()}_val": name for name in ProtoType.Enum.keys()}  # noqa: SIM118


def asked_keys(
    view: FeatureView,
    join_key_values: Mapping[str, Sequence[Value]],
    entity_name_to_join_key: Mapping[str, str],
) -> list[bytes]:
    """The serialized keys of the entities a request names, in its order.

    Raises:
        KeyError: If the request lacks a join key of the view, as Feast itself says it.
    """
    asked = utils._get_table_entity_values(view, entity_name_to_join_key, join_key_values)
    if not asked or not all(asked.values()):
        utils._get_unique_entities(view, join_key_values, entity_name_to_join_key)
        return []
    columns = {}
    types = {}
    for name, values in asked.items():
        fields = {value.WhichOneof("val") for value in values}
        if len(fields) != 1 or None in fields:
            raise ValueError(f"{name}: expected values of one type, got {sorted(map(str, fields))}")
        types[name] = _FIELD_TYPES[fields.pop()]
        columns[name] = pa.array([_content(value) for value in values])
    return entity_keys(columns, types).to_pylist()


def answered_names(view: FeatureView, features: Sequence[str], *, full_names: bool) -> list[str]:
    """What an answer calls these features."""
    prefix = f"{view.projection.name_to_use()}__" if full_names else ""
    return [prefix + name for name in features]


def add_answers(
    response: Any, rows: Rows, view: FeatureView, features: Sequence[str], names: Sequence[str]
) -> None:
    """Add one view's features to Feast's response under ``names``, a column at a time."""
    response.metadata.feature_names.val.extend(names)
    moments = event_moments(rows.event_us, rows.is_found)
    response.MergeFromString(results(_vectors(rows, view, features, moments)))


def count_statuses(view: FeatureView, features: Sequence[str], rows: Rows) -> None:
    """Tell Feast's metrics, if somebody collects them, how many values were there."""
    present = int(rows.is_found.sum()) * len(features)
    present -= sum(int((rows.is_found & gone).sum()) for gone in rows.lacking.values())
    track_feature_statuses(view.name, present, len(features) * len(rows.is_found) - present)


def entity_rows(
    rows: Rows, view: FeatureView
) -> list[tuple[datetime | None, dict[str, Value] | None]]:
    """The same, as Feast's ``online_read`` gives it: a dictionary an entity."""
    made = _vectors(rows, view, list(rows.columns), b"")
    vectors = {
        name: FeatureVector.FromString(text) for name, text in zip(rows.columns, made, strict=True)
    }
    moments = pa.array(rows.event_us).cast(pa.timestamp("us", tz="UTC")).to_pylist()
    answers: list[tuple[datetime | None, dict[str, Value] | None]] = []
    for at, moment in enumerate(moments):
        if not rows.is_found[at]:
            answers.append((None, None))
            continue
        held = {name: v.values[at] for name, v in vectors.items() if rows.found(name)[at]}
        answers.append((moment, held))
    return answers


def _vectors(rows: Rows, view: FeatureView, features: Sequence[str], moments: bytes) -> list[bytes]:
    return feature_vectors(
        {name: rows.columns[name] for name in features},
        layout_of(view).fields,
        found={name: rows.found(name) for name in features},
        moments=moments,
    )


def _content(value: Value) -> Any:
    return getattr(value, value.WhichOneof("val"))
