"""PostgreSQL as online store: a table a view, filled by binary COPY, one transaction a view.

An empty table is claimed and filled straight; in one that holds rows each event time is compared.
"""

import contextlib
import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
from feast import RepoConfig
from feast.repo_config import FeastConfigBaseModel
from psycopg.errors import ConnectionTimeout, UndefinedTable, UniqueViolation
from psycopg.sql import SQL, Composable, Composed, Identifier
from pydantic import Field

from domain.errors import StaleFeaturesError
from features.connections import Connections
from features.packed_store import PackedOnlineStore
from features.packing import Chunk
from features.ragged import fixed_rows, joined, lengths_of, memory_of
from features.records import Held, StoredRow

_LOOKUP: Final = 1_000
_SCAN_ROWS: Final = 10_000
_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer names, silently: two views could meet in one table."""

_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = struct.pack(">h", -1)

_CREATE: Final = """
    CREATE TABLE {table} (
        entity_key bytea NOT NULL PRIMARY KEY, event_us bigint NOT NULL, record bytea NOT NULL
    )"""
_NOTES: Final = "CREATE TABLE IF NOT EXISTS vitrine_notes (name text PRIMARY KEY, text text)"
_UPSERT_NOTE: Final = """
    INSERT INTO vitrine_notes VALUES (%s, %s)
    ON CONFLICT (name) DO UPDATE SET text = excluded.text"""
_READ: Final = """
    SELECT NULL::bytea, NULL::bigint, convert_to(text, 'UTF8') FROM vitrine_notes
    WHERE name = 'stamp'
    UNION ALL
    SELECT entity_key, event_us, record FROM {table} WHERE entity_key = ANY(%b)"""
# Sorted, so that two writers meet the rows in one order and cannot wait for each other.
_UPSERT: Final = """
    INSERT INTO {table} AS held SELECT * FROM incoming ORDER BY entity_key
    ON CONFLICT (entity_key) DO UPDATE SET event_us = excluded.event_us, record = excluded.record
    WHERE excluded.event_us >= held.event_us"""


class VitrinePostgresOnlineStoreConfig(FeastConfigBaseModel):
    """``address``: ``postgresql://…``. ``timeout_s``: of one read."""

    type: str = "features.postgres_store.VitrinePostgresOnlineStore"
    address: str = Field(repr=False)
    timeout_s: float = 0.5


class _Impatient(psycopg.Connection):
    """A connection that gives up on a silent server; PostgreSQL's own has no such limit."""

    timeout_s: float

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server, at most ``timeout_s``.

        Raises:
            ConnectionTimeout: If it did not answer; the connection is of no use any more.
        """
        try:
            return super().wait(gen, interval, timeout or self.timeout_s)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise ConnectionTimeout(f"no answer within {self.timeout_s} s") from error


class VitrinePostgresOnlineStore(PackedOnlineStore):
    """Connections for reading are kept and impatient; one for writing lives for one publication."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: Connections[_Impatient] = Connections()

    def fetch(self, config: RepoConfig, table: str, keys: Sequence[bytes]) -> Held:
        """The rows of these keys and the stamp; one statement, one moment, per thousand keys."""
        try:
            return self._fetch(config, table, keys)
        except ConnectionTimeout:
            raise
        except UndefinedTable as error:
            raise StaleFeaturesError(
                f"no table {table} in the online store: run vitrine materialize"
            ) from error
        except psycopg.OperationalError:
            # Kept connections do not survive their server: once more, with new ones.
            self._readers.close()
            return self._fetch(config, table, keys)

    def _fetch(self, config: RepoConfig, table: str, keys: Sequence[bytes]) -> Held:
        statement = _with_table(_READ, table)
        found: dict[bytes | None, StoredRow] = {}
        settings = config.online_store
        with self._readers.one(lambda: _reading(settings.address, settings.timeout_s)) as reader:
            for at in range(0, max(len(keys), 1), _LOOKUP):
                part = list(keys[at : at + _LOOKUP])
                rows = reader.execute(statement, (part,), binary=True)
                found.update((key, (event_us, record)) for key, event_us, record in rows)
        stamp = found.pop(None, None)
        return Held([found.get(key) for key in keys], stamp[1].decode() if stamp else None)

    def put(self, config: RepoConfig, table: str, chunks: Iterator[Chunk]) -> int:
        """Write all chunks in one transaction."""
        count = 0
        with _writing(config) as writer:
            writer.execute(
                _with_table("CREATE TEMP TABLE incoming (LIKE {table}) ON COMMIT DROP", table)
            )
            is_ours_alone = _claimed_empty(writer, table)
            for chunk in chunks:
                if not (is_ours_alone and _added(writer, table, chunk)):
                    _merged(writer, table, chunk)
                count += len(chunk)
            writer.execute(_with_table("ANALYZE {table}", table))
        return count

    def drop(self, config: RepoConfig, table: str, keys: Sequence[bytes] | None) -> None:
        """Remove these keys, or the table."""
        with _writing(config) as writer:
            if keys is None:
                writer.execute(_with_table("DROP TABLE IF EXISTS {table}", table))
            else:
                statement = _with_table("DELETE FROM {table} WHERE entity_key = ANY(%b)", table)
                writer.execute(statement, (list(keys),))

    def create(self, config: RepoConfig, table: str) -> bool:
        """Make the table; one in Feast's own layout (a row per feature) gives way."""
        with _writing(config) as writer:
            writer.execute("SELECT pg_advisory_xact_lock(hashtext('vitrine'))")
            writer.execute(_NOTES)
            columns = _columns(writer, table)
            if "record" in columns:
                return False
            if columns:
                writer.execute(_with_table("DROP TABLE {table}", table))
            writer.execute(_with_table(_CREATE, table))
        return True

    def events(self, config: RepoConfig, table: str) -> Iterator[tuple[list[bytes], list[int]]]:
        """All keys and event times, of one snapshot."""
        with _writing(config) as reader, reader.cursor("events", binary=True) as cursor:
            cursor.itersize = _SCAN_ROWS
            cursor.execute(_with_table("SELECT entity_key, event_us FROM {table}", table))
            while part := cursor.fetchmany(_SCAN_ROWS):
                keys, moments = zip(*part, strict=True)
                yield list(keys), list(moments)

    def is_empty(self, config: RepoConfig, table: str) -> bool:
        """Whether the table has no row."""
        with _writing(config) as connection:
            found = connection.execute(_with_table("SELECT 1 FROM {table} LIMIT 1", table))
            return found.fetchone() is None

    def note(self, config: RepoConfig, name: str, text: str | None = None) -> str | None:
        """A short text kept in a table of its own."""
        with _writing(config) as connection:
            return _noted(connection, name, text)


def postgres_note(address: str, name: str, text: str | None, *, timeout_s: float) -> str | None:
    """A note of the store at ``address``, over a connection of its own."""
    with contextlib.closing(_reading(address, timeout_s)) as connection:
        return _noted(connection, name, text)


def _noted(connection: psycopg.Connection, name: str, text: str | None) -> str | None:
    if text is not None:
        connection.execute(_NOTES)
        connection.execute(_UPSERT_NOTE, (name, text))
        return text
    if not _columns(connection, "vitrine_notes"):
        return None
    found = connection.execute("SELECT text FROM vitrine_notes WHERE name = %s", (name,))
    row = found.fetchone()
    return row[0] if row else None


def _reading(address: str, timeout_s: float) -> _Impatient:
    connection = _Impatient.connect(
        # Two seconds are the least that the client library takes.
        address,
        autocommit=True,
        connect_timeout=max(2, round(timeout_s)),
        prepare_threshold=1,
    )
    connection.timeout_s = timeout_s
    return connection


@contextlib.contextmanager
def _writing(config: RepoConfig) -> Iterator[psycopg.Connection]:
    """One transaction: committed whole, or not at all."""
    with psycopg.connect(config.online_store.address, connect_timeout=10) as connection:
        yield connection


def _claimed_empty(writer: psycopg.Connection, table: str) -> bool:
    """Whether the table is empty and, until the transaction ends, nobody else writes to it.

    Readers go on reading. A table that holds something is not locked: writers meet row by row.
    """
    look = _with_table("SELECT 1 FROM {table} LIMIT 1", table)
    if writer.execute(look).fetchone():
        return False
    writer.execute(_with_table("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE", table))
    return writer.execute(look).fetchone() is None


def _added(writer: psycopg.Connection, table: str, chunk: Chunk) -> bool:
    """Whether the rows went straight in: no entity among them was written before."""
    try:
        with writer.transaction():
            _copy(writer, _with_table("COPY {table} FROM STDIN (FORMAT BINARY)", table), chunk)
    except UniqueViolation:
        return False
    return True


def _merged(writer: psycopg.Connection, table: str, chunk: Chunk) -> None:
    """Put the rows in, each unless a newer one is held."""
    _copy(writer, SQL("COPY incoming FROM STDIN (FORMAT BINARY)"), chunk)
    writer.execute(_with_table(_UPSERT, table))
    writer.execute("TRUNCATE incoming")


def _copy(writer: psycopg.Connection, statement: Composable, chunk: Chunk) -> None:
    with writer.cursor().copy(statement) as copy:
        copy.write(_COPY_HEAD)
        copy.write(_copy_rows(chunk))
        copy.write(_COPY_END)


def _copy_rows(chunk: Chunk) -> memoryview:
    """The chunk as rows of PostgreSQL's binary COPY."""
    return memory_of(
        joined(
            struct.pack(">h", 3),
            fixed_rows(lengths_of(chunk.keys).astype(">i4")),
            chunk.keys,
            struct.pack(">i", 8),
            fixed_rows(chunk.event_us.astype(">i8")),
            fixed_rows(lengths_of(chunk.records).astype(">i4")),
            chunk.records,
        )
    )


def _with_table(statement: str, table: str) -> Composed:
    return SQL(statement).format(table=Identifier(_name(table)))


def _name(table: str) -> str:
    if len(table.encode()) <= _NAME_BYTES:
        return table
    return f"{table[:24]}_{hashlib.sha256(table.encode()).hexdigest()[:16]}"


def _columns(connection: psycopg.Connection, table: str) -> set[str]:
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 "
        "AND NOT attisdropped",
        (Identifier(_name(table)).as_string(connection),),
    )
    return {row[0] for row in found}
