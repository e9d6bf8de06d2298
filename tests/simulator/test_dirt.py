from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from simulator.config import PRESETS
from simulator.dirt import Dirt
from simulator.shop import Shop, simulate

Row = dict[str, object]


def after(day: datetime) -> Callable[[Row], bool]:
    return lambda row: row["event_timestamp"] >= day + timedelta(days=1)


def catch(shop: Shop, events: pa.Table, midnight: datetime) -> dict[str, int]:
    """What a pipeline that knows only the rows and the day's snapshots can find."""
    rows = events.to_pylist()
    items = set(shop.items(midnight.date())["item_id"].to_pylist())
    ids = Counter(row["event_id"] for row in rows)
    rules: dict[str, Callable[[Row], bool]] = {
        "negative_price": lambda row: (row["unit_price_cents"] or 0) < 0,
        "future_timestamp": after(midnight),
        "unknown_item": lambda row: row["item_id"] is not None and row["item_id"] not in items,
        "null_user": lambda row: row["user_id"] is None,
        "garbage_text": lambda row: "\x00" in (row["query_text"] or ""),
    }
    caught = {name: sum(map(rule, rows)) for name, rule in rules.items()}
    return {"duplicate": sum(ids.values()) - len(ids), **caught}


def test_exactly_what_was_planted_can_be_caught(shop: Shop):
    total: Counter[str] = Counter()
    for day in shop.days:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        planted = shop.planted_dirt(day)
        assert catch(shop, shop.events(day), midnight) == planted
        total.update(planted)
    assert set(total) == {kind.value for kind in Dirt}
    assert min(total.values()) > 5


def test_a_duplicate_is_the_same_row_once_more(shop: Shop):
    rows = shop.events(shop.days[0]).to_pylist()
    twice = {name for name, count in Counter(row["event_id"] for row in rows).items() if count > 1}
    for name in twice:
        first, second = (row for row in rows if row["event_id"] == name)
        assert first == second


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_the_rate_is_the_one_chosen_and_leaves_the_clean_rows_alone(shop: Shop, rate: float):
    day = shop.days[0]
    other = simulate(replace(PRESETS["debug"], dirt_rate=rate), seed=7)
    clean = len(shop.events(day)) - sum(shop.planted_dirt(day).values())
    assert other.events(day).slice(0, clean).equals(shop.events(day).slice(0, clean))
    planted = len(other.events(day)) - clean
    assert planted == sum(other.planted_dirt(day).values())
    assert 0.7 * rate <= planted / clean <= 1.3 * rate
