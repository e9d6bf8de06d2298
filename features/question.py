"""What a request for online features asks, worked out by Feast itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feast import FeatureService, FeatureView, utils
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value

from features.answers import asked_keys


@dataclass(frozen=True)
class Question:
    """A request that stored values answer.

    Attributes:
        views: Views and which of their features are asked for.
        join_keys: Join key → values, one for each entity asked about.
        join_key_of: Entity → its join key.
        answer: Feast's answer so far: the entities' columns.
    """

    views: Sequence[tuple[FeatureView, list[str]]]
    join_keys: Mapping[str, Sequence[Value]]
    join_key_of: Mapping[str, str]
    answer: GetOnlineFeaturesResponse

    def keys(self, view: FeatureView) -> list[bytes]:
        """The serialized keys of a view's entities, in the order asked."""
        return asked_keys(view, self.join_keys, self.join_key_of)


def plain_question(
    features: list[str] | FeatureService,
    entity_rows: Any,
    registry: BaseRegistry,
    project: str,
    *,
    full_names: bool,
) -> Question | None:
    """The question, or None if more than stored values answers it.

    That is: on-demand features, vectors computed beforehand, views without an entity, no entity.

    Raises:
        Exception: Whatever Feast says of a request that it does not understand.
    """
    rows = _columnar(entity_rows)
    if not any(map(_count, rows.values())) or getattr(features, "precompute_online", False):
        return None
    join_keys, views, join_key_of, on_demand, _, wanted, answer = (
        utils._prepare_entities_to_read_from_online_store(
            registry=registry,
            project=project,
            features=features,
            entity_values=rows,
            full_feature_names=full_names,
            native_entity_values=True,
        )
    )
    if on_demand or DUMMY_ENTITY_ID in join_keys:
        return None
    utils._drop_unneeded_columns(answer, wanted)
    return Question(views, join_keys, join_key_of, answer)


def _count(values: Any) -> int:
    """How many there are, be it in a sequence or in Feast's ``RepeatedValue``."""
    return len(values) if isinstance(values, Sequence) else len(values.val)


def _columnar(entity_rows: Any) -> Mapping[str, Any]:
    """Rows as columns, as Feast turns them.

    Raises:
        ValueError: If the rows do not all have the same keys.
    """
    if not isinstance(entity_rows, list):
        return entity_rows
    columns: dict[str, list[Any]] = {name: [] for name in entity_rows[0]} if entity_rows else {}
    for row in entity_rows:
        for name, value in row.items():
            if name not in columns:
                raise ValueError("All entity_rows must have the same keys.")
            columns[name].append(value)
    return columns
