from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.events import Source
from domain.schemas import LANDED
from domain.settings import Settings

Land = Callable[..., None]
DAYS = (date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 5), date(2026, 1, 9))
"""The tiny shop is closed between; on the 8th the events of the 1st leave the window of 7 days."""


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, source=Source.SIMULATED)


@pytest.fixture
def land() -> Land:
    """Land rows as ingest does: missing columns are null, the day becomes dirty."""

    def land(
        settings: Settings, table: str, day: date, rows: list[dict], source: str = "simulated"
    ) -> None:
        schema = LANDED[source][table]
        folder = settings.lake / source / table / f"event_date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        full = [{name: row.get(name) for name in schema.names} for row in rows]
        pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / "part.parquet")
        dirty = settings.lake / "dirty"
        dirty.mkdir(parents=True, exist_ok=True)
        (dirty / day.isoformat()).touch()

    return land


def event(day: date, number: int, kind: str, user: str, item: str, *, minute: int = 0) -> dict:
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=minute)
    sale = {"quantity": 1, "unit_price_cents": 100 + number} if kind == "purchase" else {}
    shown = {"position": number, "propensity": 0.5} if kind == "impression" else {}
    return {
        "event_id": f"{day}-{number}",
        "event_type": kind,
        "event_timestamp": moment,
        "user_id": user,
        "item_id": item,
        **sale,
        **shown,
    }


@pytest.fixture
def events_of() -> Callable[[date], list[dict]]:
    """A day of the tiny shop: five users, three items, and one item nobody knows."""

    def events_of(day: date) -> list[dict]:
        rows = []
        for user in range(5):
            item = f"i{(user + day.day) % 3}"
            kinds = ("impression", "click", "purchase")[: 1 + (user + day.day) % 3]
            for step, kind in enumerate(kinds):
                number = 1 + 3 * user + step
                rows.append(event(day, number, kind, f"u{user}", item, minute=step))
        return [*rows, event(day, 99, "click", "u0", "typo", minute=9)]

    return events_of


@pytest.fixture
def items_of() -> Callable[[date], list[dict]]:
    """The snapshot of a day: the prices of i1 and i2 change daily."""

    def items_of(day: date) -> list[dict]:
        return [
            {"item_id": f"i{i}", "title": f"Item {i}", "price_cents": 100 + i * day.day}
            for i in range(3)
        ]

    return items_of


@pytest.fixture
def open_shop(land: Land, events_of, items_of) -> Callable[[Settings], None]:
    """Land all of DAYS."""

    def open_shop(settings: Settings) -> None:
        for day in DAYS:
            land(settings, "events", day, events_of(day))
            land(settings, "items", day, items_of(day))
            land(settings, "users", day, [{"user_id": f"u{u}", "country": "FR"} for u in range(4)])

    return open_shop


@pytest.fixture
def published() -> Callable[[Settings], dict[str, bytes]]:
    """Every published file, by its path below the marts."""

    def published(settings: Settings) -> dict[str, bytes]:
        files = sorted(settings.marts.rglob("*.parquet"))
        return {str(file.relative_to(settings.marts)): file.read_bytes() for file in files}

    return published
