"""Which days of a published mart changed since they were last materialized."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from domain.files import write_json
from domain.settings import Settings

Signatures = Mapping[str, str]
"""Day → what tells one version of its file from another."""


def signatures(settings: Settings, table: str) -> dict[str, str]:
    """The days of a mart, each with its file's identity: a published file is always a new one."""
    files = sorted((settings.marts / table).glob("event_date=*/part.parquet"))
    return {path.parent.name.removeprefix("event_date="): _identity(path) for path in files}


def materialized(settings: Settings, table: str, *, generation: str) -> dict[str, str]:
    """The days that were materialized, as they were then.

    Args:
        settings: Whose memory.
        table: The mart.
        generation: What the online table is now: another store, a table made anew or with other
            features holds nothing of what is remembered.
    """
    path = _memory(settings)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    held = known.get(table, {})
    return held.get("days", {}) if held.get("generation") == generation else {}


def remember(
    settings: Settings, tables: Mapping[str, Signatures], *, generations: Mapping[str, str]
) -> None:
    """Keep what was materialized; called after it was, so that a kill repeats work, never skips."""
    memory = {
        table: {"generation": generations[table], "days": dict(days)}
        for table, days in tables.items()
    }
    write_json(_memory(settings), memory)


def forget(settings: Settings) -> None:
    """Nothing was materialized: the online store is new."""
    _memory(settings).unlink(missing_ok=True)


def first_changed(known: Signatures, found: Signatures, *, until: date) -> date | None:
    """The first day, not after ``until``, whose file is new, different or gone.

    Example:
        >>> first_changed({"2011-12-01": "a"}, {"2011-12-01": "a"}, until=date(2011, 12, 9))
        >>> first_changed({"2011-12-01": "a"}, {"2011-12-01": "b"}, until=date(2011, 12, 9))
        datetime.date(2011, 12, 1)
    """
    changed = {day for day in {*known, *found} if known.get(day) != found.get(day)}
    days = sorted(day for day in changed if day <= until.isoformat())
    return date.fromisoformat(days[0]) if days else None


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _memory(settings: Settings) -> Path:
    return settings.feast / "materialized.json"
