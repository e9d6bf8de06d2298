"""A shop of 130 days, built and materialized once, with events right beside its midnights."""

import warnings
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.events import Source
from domain.schemas import LANDED
from domain.settings import Settings

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
# Events leave the windows of 7, 30 and 90 days on days with trade and on days without.
TRADES_ON = (0, 1, 2, 5, 6, 7, 8, 13, 29, 30, 31, 36, 37, 60, 89, 90, 91, 92, 97, 120, 129)
# Microseconds after midnight: the first and the last second of a day, to the last microsecond.
BESIDE_MIDNIGHT = (0, 1, 400_000, 999_999, 86_399_000_001, 86_399_600_000, 86_399_999_999)
DAY = 86_400_000_000
KINDS = ("impression", "click", "view", "add_to_cart", "purchase", "return")
USERS, ITEMS, EVENTS_A_DAY = 20, 10, 50


def events_of(number: int, rng: np.random.Generator) -> list[dict]:
    moments = [*BESIDE_MIDNIGHT, *BESIDE_MIDNIGHT, *rng.integers(0, DAY, EVENTS_A_DAY).tolist()]
    return [_event(f"{number}-{at}", number, moment, rng) for at, moment in enumerate(moments)]


def _event(event_id: str, number: int, moment: int, rng: np.random.Generator) -> dict:
    kind = KINDS[rng.integers(len(KINDS))]
    sale = {"quantity": int(rng.integers(1, 5)), "unit_price_cents": int(rng.integers(1, 9_999))}
    shown = {"position": int(rng.integers(1, 9)), "propensity": 0.5}
    return {
        "event_id": event_id,
        "event_type": kind,
        "event_timestamp": FIRST + timedelta(days=number, microseconds=moment),
        "user_id": f"u{rng.integers(USERS)}",
        "item_id": f"i{rng.integers(ITEMS)}",
        **(sale if kind in ("purchase", "return") else {}),
        **(shown if kind == "impression" else {}),
    }


def land(settings: Settings, table: str, day: date, rows: list[dict]) -> None:
    schema = LANDED["simulated"][table]
    folder = settings.lake / "simulated" / table / f"event_date={day}"
    folder.mkdir(parents=True)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / "part.parquet")


@pytest.fixture(scope="session")
def proven(tmp_path_factory) -> Settings:
    """The shop's home; copy it before you spoil it."""
    from features.materialize import materialize
    from warehouse.build import build_all

    home = tmp_path_factory.mktemp("proven") / "home"
    settings = Settings(home=home, source=Source.SIMULATED)
    rng = np.random.default_rng(5)
    for number in TRADES_ON:
        day = (FIRST + timedelta(days=number)).date()
        # A stranger's item is refused by name: the proof must not count it.
        typo = {**_event(f"{number}-typo", number, DAY // 2, rng), "item_id": "typo"}
        land(settings, "events", day, [*events_of(number, rng), typo])
    first = FIRST.date()
    land(settings, "items", first, [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(9)])
    land(settings, "users", first, [{"user_id": f"u{n}"} for n in range(USERS)])
    with warnings.catch_warnings(action="ignore"):
        build_all(settings)
        materialize(settings)
    return settings
