"""The embedded online store: one SQLite file, readers that never wait, one transaction a view."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from feast import Entity, FeatureView, RepoConfig
from feast.repo_config import FeastConfigBaseModel

from domain.errors import StaleFeaturesError
from features.connections import Connections
from features.packed_store import PackedOnlineStore
from features.packing import Chunk
from features.records import Held, StoredRow
from features.registry import below_home

_LOOKUP: Final = 500
"""Keys per lookup: below SQLite's oldest limit of 999 variables."""
_SCAN_ROWS: Final = 10_000
_WRITE_WAIT_S: Final = 30.0
_WRITE_CACHE_KIB: Final = 32 << 10
"""SQLite's own 2 MiB have it write the pages of a large table's index again and again."""

_CREATE: Final = """
    CREATE TABLE "{table}" (
        entity_key BLOB NOT NULL PRIMARY KEY, event_us INTEGER NOT NULL, record BLOB NOT NULL
    )"""
_INSERT: Final = 'INSERT INTO "{table}" VALUES (?, ?, ?)'
_UPSERT: Final = """
    INSERT INTO "{table}" VALUES (?, ?, ?) ON CONFLICT (entity_key) DO UPDATE SET
        event_us = excluded.event_us, record = excluded.record
    WHERE excluded.event_us >= event_us"""
_NOTES: Final = "CREATE TABLE IF NOT EXISTS vitrine_notes (name TEXT PRIMARY KEY, text TEXT)"
_UPSERT_NOTE: Final = "INSERT OR REPLACE INTO vitrine_notes VALUES (?, ?)"


class HomeSqliteOnlineStoreConfig(FeastConfigBaseModel):
    """``path``: the file; a relative one is below the home. ``timeout_s``: of one read."""

    type: str = "features.sqlite_store.HomeSqliteOnlineStore"
    path: str = "online.db"
    timeout_s: float = 0.5


class HomeSqliteOnlineStore(PackedOnlineStore):
    """SQLite in WAL mode. A file that was replaced or removed under a reader is noticed."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: Connections[sqlite3.Connection] = Connections()
        self._file: tuple[int, int] | None = None
        self._stamp_file: tuple[int, str | None] = (0, None)
        self._located: tuple[str, Path] | None = None

    def fetch(self, config: RepoConfig, table: str, keys: Sequence[bytes]) -> Held:
        """The rows of these keys, all of one snapshot."""
        path = self._locate(config)
        self._notice_another_file(path)
        stamp = self._read_stamp(path)
        found: dict[bytes, StoredRow] = {}
        with self._readers.one(lambda: _reading(path, config.online_store.timeout_s)) as reader:
            reader.execute("BEGIN")
            try:
                for at in range(0, len(keys), _LOOKUP):
                    rows = _lookup(reader, table, keys[at : at + _LOOKUP])
                    found.update((key, (event_us, record)) for key, event_us, record in rows)
            finally:
                reader.execute("ROLLBACK")
        return Held([found.get(key) for key in keys], stamp)

    def put(self, config: RepoConfig, table: str, chunks: Iterator[Chunk]) -> int:
        """Write all chunks in one transaction."""
        count = 0
        with _writing(config) as writer:
            # Nobody else can write before this transaction ends: an empty table stays ours.
            is_empty = not writer.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchall()
            for chunk in chunks:
                if not (is_empty and _added(writer, table, chunk)):
                    writer.executemany(_UPSERT.format(table=table), _rows(chunk))
                count += len(chunk)
        return count

    def drop(self, config: RepoConfig, table: str, keys: Sequence[bytes] | None) -> None:
        """Remove these keys, or the table."""
        with _writing(config) as writer:
            if keys is None:
                writer.execute(f'DROP TABLE IF EXISTS "{table}"')
            elif _columns(writer, table):
                rows = ((key,) for key in keys)
                writer.executemany(f'DELETE FROM "{table}" WHERE entity_key = ?', rows)

    def create(self, config: RepoConfig, table: str) -> bool:
        """Make the table; one in Feast's own layout (a row per feature) gives way."""
        with _writing(config) as writer:
            columns = _columns(writer, table)
            if "record" in columns:
                return False
            if columns:
                writer.execute(f'DROP TABLE "{table}"')
            writer.execute(_CREATE.format(table=table))
        return True

    def events(self, config: RepoConfig, table: str) -> Iterator[tuple[list[bytes], list[int]]]:
        """All keys and event times, of one snapshot."""
        with contextlib.closing(_reading(_path(config), _WRITE_WAIT_S)) as reader:
            rows = reader.execute(f'SELECT entity_key, event_us FROM "{table}"')
            while part := rows.fetchmany(_SCAN_ROWS):
                keys, moments = zip(*part, strict=True)
                yield list(keys), list(moments)

    def is_empty(self, config: RepoConfig, table: str) -> bool:
        """Whether the table has no row."""
        with contextlib.closing(_reading(_path(config), _WRITE_WAIT_S)) as reader:
            return not reader.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchall()

    def note(self, config: RepoConfig, name: str, text: str | None = None) -> str | None:
        """A short text kept in the file."""
        if text is not None:
            with _writing(config) as writer:
                writer.execute(_NOTES)
                writer.execute(_UPSERT_NOTE, (name, text))
            return text
        with contextlib.closing(_reading(_path(config), _WRITE_WAIT_S)) as reader:
            if not _columns(reader, "vitrine_notes"):
                return None
            found = reader.execute("SELECT text FROM vitrine_notes WHERE name = ?", (name,))
            row = found.fetchone()
        return row[0] if row else None

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Remove the file: the store holds nothing else."""
        self._readers.close()
        self._ready.clear()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{_path(config)}{suffix}").unlink(missing_ok=True)

    def _locate(self, config: RepoConfig) -> Path:
        """The file, worked out once: below the home, it takes reading all settings."""
        if self._located is None or self._located[0] != config.online_store.path:
            self._located = (config.online_store.path, _path(config))
        return self._located[1]

    def _notice_another_file(self, path: Path) -> None:
        """An open connection would read a removed file's last values for ever."""
        try:
            status = path.stat()
        except FileNotFoundError as error:
            self._readers.close()
            raise StaleFeaturesError(
                f"no online store at {path}: run vitrine materialize"
            ) from error
        identity = (status.st_dev, status.st_ino)
        if self._file != identity:
            self._readers.close()
            self._file = identity

    def _read_stamp(self, path: Path) -> str | None:
        """The stamp beside the file, read again when it is another one."""
        stamp = path.with_name("stamp.json")
        try:
            version = stamp.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._stamp_file[0] != version:
            self._stamp_file = (version, json.dumps(json.loads(stamp.read_text(encoding="utf-8"))))
        return self._stamp_file[1]


def checkpoint(path: Path) -> None:
    """Bring what stands in the write-ahead log into the SQLite file: the file alone is whole."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _path(config: RepoConfig) -> Path:
    return Path(below_home(config.online_store.path))


def _reading(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection that never creates a file: an empty store would answer with nulls."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    if not os.access(path, os.W_OK):
        uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _lookup(
    reader: sqlite3.Connection, table: str, keys: Sequence[bytes]
) -> Sequence[tuple[bytes, int, bytes]]:
    marks = ",".join("?" * len(keys))
    try:
        return reader.execute(
            f'SELECT entity_key, event_us, record FROM "{table}" WHERE entity_key IN ({marks})',
            keys,
        ).fetchall()
    except sqlite3.OperationalError as error:
        if not str(error).startswith("no such"):
            raise
        raise StaleFeaturesError(
            f"no table {table} of ours in the online store: run vitrine materialize"
        ) from error


@contextlib.contextmanager
def _writing(config: RepoConfig) -> Iterator[sqlite3.Connection]:
    """One transaction of the one writer: committed whole, or not at all."""
    path = _path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WRITE_WAIT_S, isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_WRITE_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _added(writer: sqlite3.Connection, table: str, chunk: Chunk) -> bool:
    """Whether the rows went straight in: no entity among them was written before.

    If one was, those before it are in; to write them once more by comparing changes nothing.
    """
    try:
        writer.executemany(_INSERT.format(table=table), _rows(chunk))
    except sqlite3.IntegrityError:
        return False
    return True


def _rows(chunk: Chunk) -> Iterator[tuple[bytes, int, bytes]]:
    columns = chunk.keys.to_pylist(), chunk.event_us.tolist(), chunk.records.to_pylist()
    return zip(*columns, strict=True)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
