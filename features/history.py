"""What was known at a moment: Feast's point-in-time join, made fast enough for whole trainings.

Feature rows stand at the last microsecond of a day, so all moments of one day see the same rows:
the day's first moment. Each entity is therefore joined once a day and the rows are handed out
again. It also makes the join strict: Feast takes a row whose event time *equals* the moment.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureService, FeatureStore

from domain.schemas import (
    ITEM_FEATURE_TYPES,
    TIMESTAMP,
    USER_FEATURE_TYPES,
    USER_HISTORY_TYPES,
)
from domain.settings import Settings
from features.quiet import quiet
from features.store import open_store

_VIEWS: Final[Mapping[str, tuple[str, Mapping[str, pa.DataType]]]] = {
    "user_features": ("user_id", USER_FEATURE_TYPES),
    "user_history": ("user_id", USER_HISTORY_TYPES),
    "item_features": ("item_id", ITEM_FEATURE_TYPES),
}
_REQUEST_VIEW: Final = "request_features"


def point_in_time(settings: Settings, entities: pa.Table, *, service: str) -> pa.Table:
    """The service's features as they were known just before each row's moment.

    With only ``user_id`` (or only ``item_id``) the views of that entity are joined and columns are
    named as in ``FeatureReader.users`` (``.items``). With both, names repeat between the views, so
    each is ``<view>__<feature>``, as Feast spells it. Lists repeat with every row: ask for the
    history per user and day, not per candidate.

    Args:
        settings: Whose marts.
        entities: ``user_id`` and/or ``item_id``, ``event_timestamp`` (UTC), any other columns;
            with ``item_price_cents`` the on-demand features are added (``request_timestamp``
            defaults to ``event_timestamp``).
        service: ``retrieval`` or ``ranking``.

    Returns:
        The columns of ``entities``, then the features; same rows, same order. An entity without a
        row that is still true has nulls. Timestamps are whole seconds, as they are online.
    """
    store = open_store(settings)
    definition = store.get_feature_service(service)
    is_both = {"user_id", "item_id"} <= set(entities.column_names)
    joined = entities
    for projection in definition.feature_view_projections:
        entity, types = _VIEWS.get(projection.name, ("", {}))
        if entity in entities.column_names:
            columns = _view_columns(store, entities, projection.name, entity=entity, types=types)
            prefix = f"{projection.name}__" if is_both else ""
            for name, values in columns.items():
                joined = joined.append_column(prefix + name, values)
    if "item_price_cents" in entities.column_names and _has_request_view(definition):
        joined = _with_request_features(store, joined, prefix="user_features__" if is_both else "")
    return joined


def _view_columns(
    store: FeatureStore,
    entities: pa.Table,
    view: str,
    *,
    entity: str,
    types: Mapping[str, pa.DataType],
) -> dict[str, pa.ChunkedArray]:
    """One view's columns, in the order of ``entities``: joined once per entity and day."""
    keys, row_of = _distinct(entities, entity)
    if keys.empty:
        return {name: pa.chunked_array([], kind) for name, kind in types.items()}
    with quiet():
        found = store.get_historical_features(
            entity_df=keys, features=[f"{view}:{name}" for name in types]
        ).to_arrow()
    order = np.empty(len(keys), dtype=np.int64)
    order[found["row"].to_numpy()] = np.arange(len(keys))
    rows = pa.array(order[row_of])
    return {name: _cast(found[name], kind).take(rows) for name, kind in types.items()}


def _distinct(entities: pa.Table, entity: str) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Distinct entity × day at its first moment, and per row of ``entities`` its row in them."""
    days = pc.floor_temporal(entities["event_timestamp"].cast(TIMESTAMP), unit="day")
    frame = pd.DataFrame(
        {entity: entities[entity].to_pandas(), "event_timestamp": days.to_pandas()}
    )
    # DuckDB's Feast store fails on nanoseconds.
    frame["event_timestamp"] = frame["event_timestamp"].astype("datetime64[us, UTC]")
    row_of = frame.groupby([entity, "event_timestamp"], sort=False).ngroup().to_numpy()
    keys = frame.drop_duplicates(ignore_index=True).copy()
    keys["row"] = np.arange(len(keys), dtype=np.int64)
    return keys, row_of


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind):
        return pc.floor_temporal(values.cast(kind), unit="second")
    return values.cast(kind)


def _has_request_view(service: FeatureService) -> bool:
    return any(view.name == _REQUEST_VIEW for view in service.feature_view_projections)


def _with_request_features(store: FeatureStore, joined: pa.Table, *, prefix: str) -> pa.Table:
    """Add what Feast's on-demand view computes from the request and the user's features."""
    view = store.get_on_demand_feature_view(_REQUEST_VIEW)
    moments = "request_timestamp" if "request_timestamp" in joined.column_names else None
    inputs = pa.table(
        {
            "item_price_cents": joined["item_price_cents"].cast(pa.float64()),
            "request_timestamp": joined[moments or "event_timestamp"],
            **{
                name: joined[prefix + name]
                for name in ("price_mean_90d", "last_interaction_timestamp")
            },
        }
    )
    computed = view.transform_arrow(inputs, full_feature_names=False)
    names: Sequence[str] = [field.name for field in view.features]
    for name in names:
        column = f"{_REQUEST_VIEW}__{name}" if prefix else name
        joined = joined.append_column(column, computed[name])
    return joined
