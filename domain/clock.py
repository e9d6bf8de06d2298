"""One clock. "Now" is asked here and nowhere else.

A replayed shop lives in its own time: its today is the day after the last landed day, at the wall
clock's time of day. A live shop lives on the wall clock. The last landed day stands in
``lake/clock.json`` (written by ingest) and, for a service far from the lake, in the feature
store's stamp (``domain.stamp``).
"""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from domain.errors import BadInputError
from domain.files import write_json


def shop_now(wall: datetime, *, clock: str, last_date: date | None) -> datetime:
    """The shop's now, UTC.

    Args:
        wall: The wall clock, timezone-aware.
        clock: ``replay`` or ``live``.
        last_date: The last landed day; None before anything landed (then the wall clock).

    Example:
        >>> from datetime import UTC, date, datetime
        >>> wall = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
        >>> shop_now(wall, clock="replay", last_date=date(2011, 12, 8))
        datetime.datetime(2011, 12, 9, 9, 30, tzinfo=datetime.timezone.utc)
    """
    wall = wall.astimezone(UTC)
    if clock == "live" or last_date is None:
        return wall
    return datetime.combine(last_date + timedelta(days=1), wall.time(), tzinfo=UTC)


def wall_now() -> datetime:
    """The wall clock, UTC. The one place that reads it for the shop."""
    return datetime.now(UTC)


def write_last_date(lake: Path, last_date: date) -> None:
    """Remember the last landed day; never moves backwards (backfills land old days)."""
    known = read_last_date(lake)
    if known is None or last_date > known:
        write_json(lake / "clock.json", {"last_date": last_date.isoformat()})


def read_last_date(lake: Path) -> date | None:
    """The last landed day, or None before anything landed."""
    path = lake / "clock.json"
    if not path.exists():
        return None
    return date.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["last_date"])


def parse_day(text: str) -> date:
    """A UTC day written YYYY-MM-DD.

    Raises:
        BadInputError: If it is not one.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"'{text}' is not a day: expected YYYY-MM-DD") from error


def midnight(day: date) -> datetime:
    """The first moment of ``day``, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
