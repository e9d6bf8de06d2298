"""The stamp, wherever the online store is: beside the SQLite file, or in the server itself."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import StaleFeaturesError
from domain.stamp import StoreStamp, read_stamp, write_stamp
from features.store import is_file

_KEY: Final = "vitrine:stamp"
_CREATE: Final = "CREATE TABLE IF NOT EXISTS vitrine_stamp (key text PRIMARY KEY, stamp text)"
_UPSERT: Final = (
    "INSERT INTO vitrine_stamp VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET stamp = "
    "excluded.stamp"
)


def keep_stamp(address: str, stamp: StoreStamp) -> None:
    """Write the stamp where readers of the online store ``address`` look for it."""
    if is_file(address):
        write_stamp(_beside(address), stamp)
    elif address.startswith("redis"):
        _redis(address).set(_KEY, _text(stamp))
    else:
        import psycopg

        with psycopg.connect(address) as connection:
            connection.execute(_CREATE)
            connection.execute(_UPSERT, (_KEY, _text(stamp)))


def find_stamp(address: str) -> StoreStamp:
    """Read the stamp of the online store ``address``.

    Raises:
        StaleFeaturesError: If there is none: nothing was materialized yet.
    """
    if is_file(address):
        return read_stamp(_beside(address))
    text = _redis_text(address) if address.startswith("redis") else _postgres_text(address)
    if not text:
        raise StaleFeaturesError(f"no feature store stamp in {_shown(address)}")
    content = json.loads(text)
    content["event_date"] = date.fromisoformat(content["event_date"])
    return StoreStamp(**content)


def _beside(address: str) -> Path:
    return Path(address).with_name("stamp.json")


def _text(stamp: StoreStamp) -> str:
    return json.dumps(asdict(stamp), default=str)


def _redis(address: str):
    import redis

    return redis.Redis.from_url(address, decode_responses=True)


def _redis_text(address: str) -> str | None:
    return _redis(address).get(_KEY)


def _postgres_text(address: str) -> str | None:
    import psycopg

    with psycopg.connect(address) as connection:
        connection.execute(_CREATE)
        found = connection.execute(
            "SELECT stamp FROM vitrine_stamp WHERE key = %s", (_KEY,)
        ).fetchone()
    return found[0] if found else None


def _shown(address: str) -> str:
    """The address without its password."""
    return address.rsplit("@", 1)[-1]
