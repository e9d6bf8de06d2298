"""Some users an online store knows: a demonstration page's choice of whom to dress for."""

import sqlite3
from pathlib import Path
from typing import Final

from feast.infra.key_encoding_utils import deserialize_entity_key

from features.store import PROJECT, is_file

_ENTITY_KEY_VERSION: Final = 3


def known_users(online_store: str, *, limit: int) -> list[str]:
    """Up to ``limit`` user ids, sorted; none where the store is no SQLite file.

    Servers are not asked: listing a shop's users over the network is nobody's business, and Redis
    would have to scan all keys.
    """
    if not is_file(online_store) or not Path(online_store).exists():
        return []
    connection = sqlite3.connect(f"file:{online_store}?mode=ro", uri=True, timeout=1.0)
    try:
        rows = connection.execute(
            f'SELECT entity_key FROM "{PROJECT}_user_history" LIMIT ?', (limit,)
        ).fetchall()
    finally:
        connection.close()
    keys = (deserialize_entity_key(row[0], _ENTITY_KEY_VERSION) for row in rows)
    return sorted(key.entity_values[0].string_val for key in keys)
