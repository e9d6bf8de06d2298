"""A lake in a temporary home, and small shops to land in it."""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.receipts import Receipt
from domain.settings import Settings
from ingest.run import ingest

Rows = Sequence[Mapping[str, object]]
Land = Callable[..., Receipt]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TINY = Path(__file__).parents[1] / "fixtures" / "online_retail_tiny.csv"

EVENTS = [
    {
        "event_type": "purchase",
        "event_timestamp": "2026-01-01T10:00:00Z",
        "user_id": "u1",
        "item_id": "i1",
    },
    {
        "event_type": "click",
        "event_timestamp": "2026-01-02T23:59:59Z",
        "user_id": "u2",
        "item_id": "i2",
    },
    {
        "event_type": "search",
        "event_timestamp": "2026-01-03T00:00:00Z",
        "user_id": "u2",
        "item_id": "",
        "query_text": "lamp",
    },
]
ITEMS = [{"item_id": "i1", "title": "Lamp"}, {"item_id": "i2", "title": "Chair"}]


def write_csv(path: Path, rows: Rows) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def tiny() -> Path:
    """A hand-written (invented) file in UCI's form: 30 lines, one of them twice."""
    return TINY


@pytest.fixture
def events() -> list[dict[str, object]]:
    """Three events on three days."""
    return [dict(row) for row in EVENTS]


@pytest.fixture
def items() -> list[dict[str, object]]:
    """Two items."""
    return [dict(row) for row in ITEMS]


@pytest.fixture(name="write_csv")
def _write_csv() -> Callable[[Path, Rows], Path]:
    return write_csv


@pytest.fixture
def lake_bytes(lake: Path) -> Callable[[], dict[str, str]]:
    """Every file of the lake with the hash of its bytes; of a dirty mark only that it is there."""
    return lambda: {
        str(file.relative_to(lake)): hashlib.sha256(
            b"" if file.parent.name == "dirty" else file.read_bytes()
        ).hexdigest()
        for file in sorted(lake.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def landed(lake: Path) -> Callable[[str, str], pa.Table]:
    """Read one landed day: ``landed("files.events", "2026-01-01")``."""

    def read(table: str, day: str) -> pa.Table:
        folder = lake / table.replace(".", "/") / f"event_date={day}"
        return pq.ParquetFile(folder / "part.parquet").read()

    return read


@pytest.fixture
def quarantined(lake: Path) -> Callable[..., list[dict[str, object]]]:
    """Read one day's refused rows; no file means none."""

    def read(table: str, day: str = "unknown") -> list[dict[str, object]]:
        folder = lake / "quarantine" / table.replace(".", "/") / f"event_date={day}"
        file = folder / "part.parquet"
        return pq.ParquetFile(file).read().to_pylist() if file.exists() else []

    return read


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """Write a shop as CSV files and return its folder."""

    def write(events: Rows = EVENTS, items: Rows = ITEMS, users: Rows = ()) -> Path:
        folder = tmp_path / "shop"
        write_csv(folder / "events.csv", events)
        write_csv(folder / "items.csv", items)
        if users:
            write_csv(folder / "users.csv", users)
        return folder

    return write


@pytest.fixture
def land(home: Path) -> Land:
    """Run one ingest; keyword arguments that are settings go to the settings."""

    def run(source: str, data: Path | None = None, **arguments) -> Receipt:
        known = [name for name in arguments if name in Settings.model_fields]
        own = {name: arguments.pop(name) for name in known}
        settings = Settings(**{"home": home, "source": source, "data": data} | own)
        return ingest(settings, **{"now": NOW} | arguments)

    return run


@pytest.fixture
def lake(home: Path) -> Path:
    return home / "lake"
