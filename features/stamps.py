"""The stamp, wherever the online store is: beside the SQLite file, or in the server itself."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import StaleFeaturesError
from domain.stamp import StoreStamp, read_stamp, write_stamp
from features.packed_store import STAMP
from features.store import is_file

_TIMEOUT_S: Final = 2.0
"""Of asking a server for its stamp: nobody waits for a server that is silent."""


def keep_stamp(address: str, stamp: StoreStamp) -> None:
    """Write the stamp where readers of the online store ``address`` look for it."""
    if is_file(address):
        write_stamp(_beside(address), stamp)
    else:
        _server_note(address, _text(stamp))


def find_stamp(address: str) -> StoreStamp:
    """Read the stamp of the online store ``address``.

    Raises:
        StaleFeaturesError: If there is none: nothing was materialized yet.
    """
    if is_file(address):
        return read_stamp(_beside(address))
    text = _server_note(address, None)
    if not text:
        raise StaleFeaturesError(f"no feature store stamp in {_shown(address)}")
    content = json.loads(text)
    content["event_date"] = date.fromisoformat(content["event_date"])
    return StoreStamp(**content)


def _beside(address: str) -> Path:
    return Path(address).with_name("stamp.json")


def _text(stamp: StoreStamp) -> str:
    return json.dumps(asdict(stamp), default=str)


def _server_note(address: str, text: str | None) -> str | None:
    """The note that holds the stamp, written first if ``text`` is given."""
    if address.startswith("redis"):
        from features.redis_store import redis_note

        return redis_note(address, STAMP, text, timeout_s=_TIMEOUT_S)
    from features.postgres_store import postgres_note

    return postgres_note(address, STAMP, text, timeout_s=_TIMEOUT_S)


def _shown(address: str) -> str:
    """The address without its password."""
    return address.rsplit("@", 1)[-1]
