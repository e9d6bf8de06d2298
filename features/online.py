"""What a serving request sees: users and items read from the online store, in batches.

Needs an address and a registry, no lake and no warehouse. A missing or expired value is null.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from feast import FeatureStore

from domain.clock import shop_now, wall_now
from domain.errors import StaleFeaturesError
from domain.schemas import ITEM_FEATURE_TYPES, USER_FEATURE_TYPES, USER_HISTORY_TYPES
from domain.settings import Settings
from domain.stamp import StoreStamp, require_same_features
from features.reading import online_store, read_view
from features.registry import require_views
from features.schema import feature_schema
from features.stamps import find_stamp
from features.store import VIEWS, open_bundled, open_store

DEFAULT_TIMEOUT_S: Final = 0.5

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
        timeout_s: How long one read of the server may take, with an address.

    Raises:
        StaleFeaturesError: If the store, its stamp or the registry is not there.
        FeatureSchemaError: If the store's features are not those of the registry.
    """

    def __init__(
        self,
        where: Settings | str | Path,
        *,
        registry: Path | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._store, self._address = _open(where, registry, timeout_s)
        require_same_features(feature_schema(self._store), self.stamp().features)
        # As they were when the schema was compared; asking the registry costs as much as a read.
        self._views = {name: self._store.get_feature_view(name) for name in _TYPES}

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
        columns: dict[str, pa.Array | pa.ChunkedArray] = {entity: pa.array(ids, pa.string())}
        is_found = not ids
        for name in views:
            read, has_found, has_stamp = read_view(
                self._store, self._views[name], ids, types=_TYPES[name], now=now
            )
            if not has_stamp:
                raise StaleFeaturesError("the online store has lost its stamp: it was emptied")
            is_found |= has_found
            columns |= read
        if not is_found:
            # Nobody is known: is it these entities, or everyone?
            for name in views:
                online_store(self._store).require_kept(self._store.config, self._views[name])
        return pa.table(columns)


def _open(
    where: Settings | str | Path, registry: Path | None, timeout_s: float
) -> tuple[FeatureStore, str]:
    if isinstance(where, Settings):
        address = where.online_address
        find_stamp(address)  # Before Feast creates an empty store and answers with nulls.
        store = open_store(where)
        require_views(store, VIEWS)
        return store, address
    if registry is None:
        raise StaleFeaturesError(f"reading {where} needs a copy of the feature registry")
    return open_bundled(registry, str(where), timeout_s=timeout_s), str(where)
