"""What a serving request sees: users and items read from the online store, in batches.

Needs an address and a registry, no lake and no warehouse. A missing or expired value is null.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute
from feast import FeatureStore

from domain.clock import shop_now, wall_now
from domain.errors import StaleFeaturesError
from domain.schemas import ITEM_FEATURE_TYPES, USER_FEATURE_TYPES, USER_HISTORY_TYPES
from domain.settings import Settings
from domain.stamp import StoreStamp, require_same_features
from features.reading import read_view
from features.registry import require_views
from features.schema import feature_schema
from features.stamps import find_stamp
from features.store import VIEWS, open_bundled, open_store

_TYPES: Final[Mapping[str, Mapping[str, pa.DataType]]] = {
    "user_features": USER_FEATURE_TYPES,
    "user_history": USER_HISTORY_TYPES,
    "item_features": ITEM_FEATURE_TYPES,
}


class FeatureReader:
    """Holds the connection to an online store; several threads may share one reader.

    Args:
        where: The shop's settings, or the online store's address (then ``registry`` is needed).
        registry: A copy of the registry file, with an address.

    Raises:
        StaleFeaturesError: If the store, its stamp or the registry is not there.
        FeatureSchemaError: If the store's features are not those of the registry.
    """

    def __init__(self, where: Settings | str | Path, *, registry: Path | None = None) -> None:
        self._store, self._address = _open(where, registry)
        self._lock = threading.Lock()
        require_same_features(feature_schema(self._store), self.stamp().features)

    def stamp(self) -> StoreStamp:
        """What the store holds now: features, day, version. Cheap: ask before a refresh."""
        return find_stamp(self._address)

    def require(self, features: Mapping[str, Mapping[str, str]]) -> None:
        """Refuse the store if its features are not ``features`` (a release's manifest).

        Raises:
            FeatureSchemaError: Naming every feature that differs.
        """
        require_same_features(features, self.stamp().features)

    def now(self) -> datetime:
        """The shop's now: the day after the stamp's for a replay, the wall clock else."""
        stamp = self.stamp()
        return shop_now(wall_now(), clock=stamp.clock, last_date=stamp.event_date)

    def users(self, user_ids: Sequence[str], *, now: datetime | None = None) -> pa.Table:
        """``user_id``, ``user_features`` and ``user_history``, one row per id, in their order.

        Args:
            user_ids: Unknown ones and duplicates are fine.
            now: The moment that values must still be true at; default: the shop's now.
        """
        return self._read("user_id", user_ids, ("user_features", "user_history"), now)

    def items(self, item_ids: Sequence[str], *, now: datetime | None = None) -> pa.Table:
        """``item_id`` and ``item_features``, one row per id, in their order."""
        return self._read("item_id", item_ids, ("item_features",), now)

    def _read(
        self, entity: str, ids: Sequence[str], views: Sequence[str], now: datetime | None
    ) -> pa.Table:
        moment = now or self.now()
        columns: dict[str, pa.Array] = {entity: pa.array(ids, pa.string())}
        for view in views:
            columns |= self._true_columns(view, ids, moment)
        return pa.table(columns)

    def _true_columns(self, name: str, ids: Sequence[str], now: datetime) -> dict[str, pa.Array]:
        """The view's columns, null where the row is older than its ttl allows."""
        types = dict(_TYPES[name])
        if not ids:
            return {column: pa.array([], kind) for column, kind in types.items()}
        with self._lock:
            view = self._store.get_feature_view(name)
            seconds, columns = read_view(self._store, view, ids, types=types)
        if not view.ttl:
            return columns
        # Rows stand at the end of a day and SQLite keeps whole seconds: compare whole seconds.
        oldest = int((now.astimezone(UTC) - view.ttl).timestamp())
        is_true = pa.array([held >= oldest for held in seconds])
        nulls = {column: pa.scalar(None, kind) for column, kind in types.items()}
        return {
            column: pa.compute.if_else(is_true, values, nulls[column])
            for column, values in columns.items()
        }


def _open(where: Settings | str | Path, registry: Path | None) -> tuple[FeatureStore, str]:
    if isinstance(where, Settings):
        address = where.online_address
        find_stamp(address)  # Before Feast creates an empty store and answers with nulls.
        store = open_store(where)
        require_views(store, VIEWS)
        return store, address
    if registry is None:
        raise StaleFeaturesError(f"reading {where} needs a copy of the feature registry")
    return open_bundled(registry, str(where)), str(where)
