"""Real servers for tests: a fresh database each, gone afterwards; skipped where none is reachable.

``pytest --require-servers`` (what ``.ci/run`` says) fails instead of skipping.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

POSTGRES = os.environ.get("VITRINE_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
REDIS = os.environ.get("VITRINE_TEST_REDIS", "redis://127.0.0.1:6379")
_REDIS_DATABASES = range(1, 16)

required = False
"""Whether a server that is not there is a failure."""


def absent(what: str, error: Exception) -> None:
    """Skip the test, or fail it where servers are required."""
    message = f"{what} is not reachable: {str(error).strip()}"
    (pytest.fail if required else pytest.skip)(message)


@contextmanager
def postgres_url() -> Iterator[str]:
    """The URL of a new PostgreSQL database, dropped at the end."""
    import psycopg

    name = f"vitrine_test_{uuid4().hex[:12]}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        absent("PostgreSQL", error)
    with server:
        server.execute(f"create database {name} template template0")
        try:
            yield f"{POSTGRES.rsplit('/', 1)[0]}/{name}"
        finally:
            server.execute(f"drop database {name} with (force)")


@contextmanager
def redis_url() -> Iterator[str]:
    """The URL of an empty Redis database that nobody else uses, emptied at the end."""
    import redis

    with redis.Redis.from_url(f"{REDIS}/0", socket_connect_timeout=3) as server:
        try:
            number = next(n for n in _REDIS_DATABASES if server.set(_lock(n), "1", nx=True, ex=900))
        except redis.ConnectionError as error:
            absent("Redis", error)
        url = f"{REDIS}/{number}"
        with redis.Redis.from_url(url) as ours:
            ours.flushdb()
            try:
                yield url
            finally:
                ours.flushdb()
                server.delete(_lock(number))


def _lock(number: int) -> str:
    return f"vitrine-test-database-{number}"
