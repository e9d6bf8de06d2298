"""Redis as online store: one string a view and entity, its first eight bytes the event time.

A small script on the server compares event times and writes, so that a value never goes back,
whoever writes beside us; what Redis holds no key of goes in without asking. What that means for a
reader during a publication:

* one entity's features of a view are always of one row;
* a publication of up to ``TOGETHER_ROWS`` rows is one script: seen together or not at all;
* a larger one is written in parts of ``PART_ROWS`` rows, each seen together: a reader may meet new
  rows beside old ones until the last part is written. Holding them back would mean blocking the
  server for seconds, or keeping every value twice.
"""

import contextlib
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import redis
from feast import RepoConfig
from feast.repo_config import FeastConfigBaseModel
from pydantic import Field
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.retry import Retry

from features.packed_store import STAMP, PackedOnlineStore
from features.packing import Chunk
from features.ragged import fixed_rows, joined, lengths_of, memory_of, text_rows
from features.records import Held, StoredRow

TOGETHER_ROWS: Final = 20_000
PART_ROWS: Final = 1_000
_LOOKUP: Final = 1_000
_IN_FLIGHT: Final = 8
_WRITE_WAIT_S: Final = 60.0
_TIME: Final = struct.Struct("<q")

_KEEP_NEWEST: Final = b"""
for i = 1, #KEYS do
  local held = redis.call('GETRANGE', KEYS[i], 0, 7)
  if #held < 8 or struct.unpack('<i8', held) <= struct.unpack('<i8', ARGV[i]) then
    redis.call('SET', KEYS[i], ARGV[i])
  end
end
return #KEYS"""


class VitrineRedisOnlineStoreConfig(FeastConfigBaseModel):
    """``address``: ``redis://…`` or ``rediss://…``. ``timeout_s``: to connect, and of one read."""

    type: str = "features.redis_store.VitrineRedisOnlineStore"
    address: str = Field(repr=False)
    timeout_s: float = 0.5


class VitrineRedisOnlineStore(PackedOnlineStore):
    """One Redis server; a cluster would need its keys spread over scripts by slot."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[float, redis.Redis] = {}

    def fetch(self, config: RepoConfig, table: str, keys: Sequence[bytes]) -> Held:
        """The rows of these keys and the stamp, in one command per thousand keys."""
        client = self._client(config, config.online_store.timeout_s)
        prefix = _prefix(table)
        stamp: bytes | None = None
        rows: list[StoredRow | None] = []
        for at in range(0, max(len(keys), 1), _LOOKUP):
            part = [prefix + key for key in keys[at : at + _LOOKUP]]
            stamp, *values = client.mget([_note(STAMP), *part])
            rows.extend(
                (_TIME.unpack_from(value)[0], value[8:]) if value else None for value in values
            )
        return Held(rows, stamp.decode() if stamp else None)

    def put(self, config: RepoConfig, table: str, chunks: Iterator[Chunk]) -> int:
        """Write in one script if there are few rows, else part by part."""
        client = self._client(config, _WRITE_WAIT_S)
        first, count = _up_to(chunks, TOGETHER_ROWS)
        with _sending(client, table) as parts:
            if count <= TOGETHER_ROWS:
                parts.send(_keep_newest(table, first))
                return count
            count = 0
            for chunk in chain(first, chunks):
                for part in _parts(chunk):
                    parts.put(part)
                count += len(chunk)
        return count

    def drop(self, config: RepoConfig, table: str, keys: Sequence[bytes] | None) -> None:
        """Remove these keys; all of a table are found by walking over every key there is."""
        client = self._client(config, _WRITE_WAIT_S)
        prefix = _prefix(table)
        if keys is not None:
            full = [prefix + key for key in keys]
            for at in range(0, len(full), PART_ROWS):
                client.unlink(*full[at : at + PART_ROWS])
            return
        for part in self._scan(client, table):
            client.unlink(*part)

    def create(self, config: RepoConfig, table: str) -> bool:
        """Nothing to make; that a table was lost shows in its lost note."""
        return False

    def events(self, config: RepoConfig, table: str) -> Iterator[tuple[list[bytes], list[int]]]:
        """All keys and event times; what is written meanwhile may or may not be among them."""
        client = self._client(config, _WRITE_WAIT_S)
        size = len(_prefix(table))
        for part in self._scan(client, table):
            with client.pipeline(transaction=False) as pipeline:
                for key in part:
                    pipeline.getrange(key, 0, 7)
                times = pipeline.execute()
            held = [
                (key[size:], _TIME.unpack(t)[0]) for key, t in zip(part, times, strict=True) if t
            ]
            yield [key for key, _ in held], [moment for _, moment in held]

    def is_empty(self, config: RepoConfig, table: str) -> bool:
        """Unknown: a flushed server has lost its stamp too, and that is seen with every read."""
        return False

    def note(self, config: RepoConfig, name: str, text: str | None = None) -> str | None:
        """A short text kept under its own key."""
        wait_s = _WRITE_WAIT_S if text is not None else config.online_store.timeout_s
        return _noted(self._client(config, wait_s), name, text)

    def _scan(self, client: redis.Redis, table: str) -> Iterator[list[bytes]]:
        pattern = b"".join(
            b"\\" + bytes([c]) if c in b"*?[]^\\" else bytes([c]) for c in _prefix(table)
        )
        cursor = 0
        while True:
            cursor, part = client.scan(cursor, match=pattern + b"*", count=PART_ROWS)
            if part:
                yield list(part)
            if not cursor:
                return

    def _client(self, config: RepoConfig, timeout_s: float) -> redis.Redis:
        if timeout_s not in self._clients:
            self._clients[timeout_s] = open_redis(config.online_store.address, timeout_s=timeout_s)
        return self._clients[timeout_s]


def open_redis(address: str, *, timeout_s: float) -> redis.Redis:
    """A client that waits at most ``timeout_s`` and connects anew once if its server went away."""
    return redis.Redis.from_url(
        address,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1, supported_errors=(Lost,)),
    )


def redis_note(address: str, name: str, text: str | None, *, timeout_s: float) -> str | None:
    """A note of the store at ``address``, over a connection of its own."""
    with open_redis(address, timeout_s=timeout_s) as client:
        return _noted(client, name, text)


def _noted(client: redis.Redis, name: str, text: str | None) -> str | None:
    if text is not None:
        client.set(_note(name), text)
        return text
    found = client.get(_note(name))
    return found.decode() if found else None


def _prefix(table: str) -> bytes:
    return f"{table}:".encode()


def _note(name: str) -> str:
    return f"vitrine:{name}"


def _up_to(chunks: Iterator[Chunk], rows: int) -> tuple[list[Chunk], int]:
    """The first chunks, until they have more than ``rows`` rows or none is left."""
    taken: list[Chunk] = []
    count = 0
    for chunk in chunks:
        taken.append(chunk)
        count += len(chunk)
        if count > rows:
            break
    return taken, count


def _parts(chunk: Chunk) -> Iterator[Chunk]:
    for at in range(0, len(chunk), PART_ROWS):
        part = slice(at, at + PART_ROWS)
        yield Chunk(chunk.keys[part], chunk.event_us[part], chunk.records[part])


class _Parts:
    """Parts of one publication, some on their way at once.

    As long as Redis holds none of a part's keys, the part goes in as it is (``MSETNX``: all of it
    or nothing). From the first one of which it holds a key, event times are compared.
    """

    def __init__(self, connection: Any, table: str) -> None:
        self._connection = connection
        self._table = table
        self._waiting: deque[Chunk | None] = deque()
        self._is_new = True
        self._at_once = 1  # Until the first answer says whether the table is new.

    def put(self, part: Chunk) -> None:
        """Send one part; waits for an older one if many are on their way."""
        if self._is_new:
            self.send(_add(self._table, part), part)
        else:
            self.send(_keep_newest(self._table, [part]))
        while len(self._waiting) >= self._at_once:
            self._settle()

    def send(self, command: list[bytes | memoryview], part: Chunk | None = None) -> None:
        """Send a command; with ``part``, one that may refuse it."""
        self._connection.send_packed_command(command)
        self._waiting.append(part)

    def finish(self) -> None:
        """Wait for all answers."""
        while self._waiting:
            self._settle()

    def _settle(self) -> None:
        part = self._waiting.popleft()
        answer = self._connection.read_response()
        self._at_once = _IN_FLIGHT
        if part is not None and not answer:
            self._is_new = False
            self.send(_keep_newest(self._table, [part]))


@contextlib.contextmanager
def _sending(client: redis.Redis, table: str) -> Iterator[_Parts]:
    """Parts over one connection; all are answered when the block ends."""
    connection = client.connection_pool.get_connection()
    try:
        parts = _Parts(connection, table)
        yield parts
        parts.finish()
    except BaseException:
        # Answers still on their way would be taken for those of the next command.
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _add(table: str, chunk: Chunk) -> list[bytes | memoryview]:
    """Set all keys if there is none of them, as Redis' protocol spells it."""
    head = b"*%d\r\n$6\r\nMSETNX\r\n" % (1 + 2 * len(chunk))
    return [head, memory_of(joined(*_keys(table, chunk), *_values(chunk)))]


def _keep_newest(table: str, chunks: Sequence[Chunk]) -> list[bytes | memoryview]:
    """One call of the script: the rows of all these chunks go in together."""
    rows = sum(len(chunk) for chunk in chunks)
    count = b"%d" % rows
    head = b"*%d\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        3 + 2 * rows,
        len(_KEEP_NEWEST),
        _KEEP_NEWEST,
        len(count),
        count,
    )
    keys = [memory_of(joined(*_keys(table, chunk))) for chunk in chunks]
    return [head, *keys, *(memory_of(joined(*_values(chunk))) for chunk in chunks)]


def _keys(table: str, chunk: Chunk) -> list[pa.LargeBinaryArray | bytes]:
    prefix = _prefix(table)
    return _argument([prefix, chunk.keys], lengths_of(chunk.keys) + len(prefix))


def _values(chunk: Chunk) -> list[pa.LargeBinaryArray | bytes]:
    moments = fixed_rows(chunk.event_us.astype("<i8"))
    return _argument([moments, chunk.records], lengths_of(chunk.records) + _TIME.size)


def _argument(
    pieces: Sequence[pa.LargeBinaryArray | bytes], sizes: npt.NDArray[np.int64]
) -> list[pa.LargeBinaryArray | bytes]:
    """The pieces of one argument a row, as Redis' protocol spells arguments."""
    return [b"$", text_rows(pa.array(sizes).cast(pa.string())), b"\r\n", *pieces, b"\r\n"]
