"""Read one feature view online, as Arrow columns, without Feast's protobuf in between."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa
from feast import FeatureStore, FeatureView

from features.packed_store import PackedOnlineStore, table_of
from features.packing import entity_keys
from features.records import Rows

CHUNK: Final = 10_000
"""Entities per read: bounds what is held twice while columns are made."""


def online_store(store: FeatureStore) -> PackedOnlineStore:
    """The store's online store: one of ours, whatever the server."""
    found: PackedOnlineStore = store._get_provider().online_store
    return found


def keys_of(view: FeatureView, ids: Sequence[str]) -> list[bytes]:
    """The serialized keys of a view's entities."""
    entity = view.entity_columns[0]
    types = {entity.name: entity.dtype.to_value_type().name}
    keys: list[bytes] = entity_keys({entity.name: pa.array(ids, pa.string())}, types).to_pylist()
    return keys


def event_microseconds(store: FeatureStore, view: FeatureView, ids: Sequence[str]) -> list[int]:
    """When each entity's row happened, µs since 1970; 0 where there is none. Expired ones count."""
    table = table_of(store.config, view)
    held = (online_store(store).fetch(store.config, table, keys) for keys in _chunks(view, ids))
    return [row[0] if row else 0 for part in held for row in part.rows]


def read_view(
    store: FeatureStore,
    view: FeatureView,
    ids: Sequence[str],
    *,
    types: Mapping[str, pa.DataType],
    now: datetime | None,
) -> tuple[dict[str, pa.ChunkedArray], bool, bool]:
    """The columns of ``types``, in the order of ``ids``; what is missing or expired is null.

    Timestamps are whole seconds: that is what Feast keeps.

    Args:
        store: Whose online store.
        view: Whose features.
        ids: Unknown ones and duplicates are fine.
        types: Feature → the type of its column.
        now: The moment that values must still be true at; None: the shop's now.

    Returns:
        The columns; whether any entity was found; whether the store has a stamp.
    """
    parts: list[Rows] = [
        online_store(store).read(store.config, view, keys, list(types), now=now)
        for keys in _chunks(view, ids)
    ]
    columns = {
        name: pa.chunked_array([part.columns[name].cast(kind) for part in parts], kind)
        for name, kind in types.items()
    }
    is_found = any(part.is_found.any() for part in parts)
    return columns, is_found, all(part.stamp is not None for part in parts)


def _chunks(view: FeatureView, ids: Sequence[str]) -> Iterator[list[bytes]]:
    return (keys_of(view, ids[at : at + CHUNK]) for at in range(0, len(ids), CHUNK))
