"""A small shop's feature tables, published exactly as the contract says."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.schemas import (
    ITEM_FEATURE_TYPES,
    MARTS,
    USER_FEATURE_TYPES,
)
from domain.settings import Settings

Rows = Mapping[str, object]
FIRST = date(2011, 12, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]


def end_of(day: date) -> datetime:
    return datetime.combine(day, time.max, tzinfo=UTC)


def write_mart(home: Path, table: str, day: date, rows: list[dict]) -> None:
    """Publish one day of a feature table; ``rows`` need the entity and what is not null."""
    dated = [{"event_date": day, "event_timestamp": end_of(day), **row} for row in rows]
    folder = home / "marts" / table / f"event_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "part.parquet"
    path.unlink(missing_ok=True)
    pq.write_table(pa.Table.from_pylist(dated, schema=MARTS[table]), path)


@pytest.fixture
def publish(home: Path) -> Callable[[str, date, list[dict]], None]:
    return lambda table, day, rows: write_mart(home, table, day, rows)


def _counts(rng: np.random.Generator, types: Mapping, moment: datetime) -> dict:
    """Random values of every type, with nulls, zeros and microseconds among them."""
    values: dict = {}
    for name, kind in types.items():
        if pa.types.is_int64(kind):
            values[name] = int(rng.integers(0, 50))
        elif pa.types.is_float64(kind):
            values[name] = None if rng.random() < 0.3 else float(rng.random() * 1000)
        else:
            seconds = int(rng.integers(0, 86_000))
            values[name] = moment.replace(microsecond=123_456) - timedelta(seconds=seconds)
    return values


def _history(rng: np.random.Generator) -> dict:
    bought = [f"i{n}" for n in rng.permutation(20)[: rng.integers(0, 12)]]
    return {
        "history_item_ids": [f"i{n}" for n in rng.integers(0, 20, rng.integers(1, 50))],
        "bought_item_ids": bought,
        "bought_item_weights": [float(np.float32(rng.random())) for _ in bought],
    }


@pytest.fixture
def shop(home: Path) -> Settings:
    """40 users and 20 items over six days; each has a row on the first, then on about half."""
    rng = np.random.default_rng(7)
    for day in DAYS:
        is_first = day == FIRST
        users = [f"u{n}" for n in range(40) if is_first or rng.random() < 0.5]
        items = [f"i{n}" for n in range(20) if is_first or rng.random() < 0.5]
        moment = end_of(day)
        write_mart(
            home,
            "user_features",
            day,
            [{"user_id": user, **_counts(rng, USER_FEATURE_TYPES, moment)} for user in users],
        )
        write_mart(
            home, "user_history", day, [{"user_id": user, **_history(rng)} for user in users]
        )
        write_mart(
            home,
            "item_features",
            day,
            [{"item_id": item, **_counts(rng, ITEM_FEATURE_TYPES, moment)} for item in items],
        )
    return Settings()
