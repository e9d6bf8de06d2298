"""The embedded online store, made safe: one home, and no older value over a newer one.

Feast's own with two holes closed (Feast 0.67, each seen):

* paths in ``feature_store.yaml`` cannot have a default; here a relative one is below
  ``Settings().feast``;
* SQLite takes whatever comes, so an old day overwrites newer values; here a row that is older than
  the one held is left out.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from features.registry import below_home

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

_LOOKUP_CHUNK = 500
"""Entities per lookup: below SQLite's oldest limit of 999 variables."""


class HomeSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """Feast's configuration of the SQLite store; a relative path is below the home."""

    type: str = "features.embedded.HomeSqliteOnlineStore"  # type: ignore[assignment]


class HomeSqliteOnlineStore(SqliteOnlineStore):
    """Feast's SQLite store in WAL mode (readers never wait) that keeps the newest value."""

    @staticmethod
    def _get_db_path(config: RepoConfig) -> str:
        path = below_home(config.online_store.path)
        # Feast creates the last folder only.
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return path

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        if self._conn is None:
            connection: sqlite3.Connection = super()._get_conn(config)
            connection.execute("PRAGMA busy_timeout = 30000")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        return super()._get_conn(config)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write the rows that are not older than what the store holds; one transaction."""
        held = self._held_seconds(config, table, [row[0] for row in data])
        newest = [row for row in data if _seconds(row[2]) >= held.get(_key(config, row[0]), -1)]
        super().online_write_batch(config, table, newest, progress)
        if progress:
            progress(len(data) - len(newest))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Read the requested features of the entities, in their order.

        Feast's own reads and parses every feature, lists of thousands of strings included.
        """
        names = requested_features or [field.name for field in table.features]
        keys = [_key(config, key) for key in entity_keys]
        found: dict[bytes, tuple[datetime, dict[str, Value]]] = {}
        for chunk in _chunks(keys):
            rows = self._get_conn(config).execute(
                f"SELECT entity_key, feature_name, value, CAST(event_ts AS INTEGER) "
                f'FROM "{config.project}_{table.name}" '
                f"WHERE entity_key IN ({','.join('?' * len(chunk))}) "
                f"AND feature_name IN ({','.join('?' * len(names))})",
                [*chunk, *names],
            )
            for key, name, content, seconds in rows:
                values = found.setdefault(key, (_moment(seconds), {}))[1]
                values[name] = Value.FromString(content)
        return [found.get(key, (None, None)) for key in keys]

    def _held_seconds(
        self, config: RepoConfig, table: FeatureView, keys: list[EntityKey]
    ) -> dict[bytes, int]:
        """Serialized entity key → the event time held, whole seconds, for those that are held."""
        held: dict[bytes, int] = {}
        for chunk in _chunks([_key(config, key) for key in keys]):
            # The cast keeps sqlite3 from turning the column into a local, naive datetime.
            rows = self._get_conn(config).execute(
                f"SELECT entity_key, max(CAST(event_ts AS INTEGER)) "
                f'FROM "{config.project}_{table.name}" '
                f"WHERE entity_key IN ({','.join('?' * len(chunk))}) GROUP BY entity_key",
                chunk,
            )
            held.update(rows.fetchall())
        return held


def checkpoint(path: Path) -> None:
    """Bring what stands in the write-ahead log into the SQLite file: the file alone is whole."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _key(config: RepoConfig, key: EntityKey) -> bytes:
    serialized: bytes = serialize_entity_key(
        key, entity_key_serialization_version=config.entity_key_serialization_version
    )
    return serialized


def _seconds(moment: datetime) -> int:
    """As Feast's SQLite store keeps it: a naive UTC time read as local time, whole seconds."""
    naive = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return int(naive.timestamp())


def _moment(seconds: int) -> datetime:
    """The inverse of ``_seconds``."""
    return datetime.fromtimestamp(seconds).replace(tzinfo=UTC)


def _chunks(keys: list[bytes]) -> Iterable[list[bytes]]:
    return (keys[at : at + _LOOKUP_CHUNK] for at in range(0, len(keys), _LOOKUP_CHUNK))
