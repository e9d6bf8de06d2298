from datetime import date, timedelta

import numpy as np

from domain.events import EventType
from simulator.rows import of_type
from simulator.seasons import category_wants, scatter, traffic
from simulator.shop import Shop
from simulator.vocabulary import CATEGORIES

MONDAY = date(2026, 2, 16)


def test_sundays_are_busier_than_tuesdays_and_december_than_june():
    assert traffic(date(2026, 2, 22)) > 1.3 * traffic(date(2026, 2, 17))
    assert traffic(date(2026, 12, 11)) > 1.5 * traffic(date(2026, 6, 12))


def test_the_week_is_visible_in_the_log(shop: Shop):
    def requests(weekday: int) -> int:
        days = [MONDAY + timedelta(days=7 * week + weekday) for week in range(8)]
        rows = [shop._simulated(day).rows for day in days]
        return sum(len(np.unique(row["session"])) for row in rows)

    assert requests(6) > 1.1 * requests(1)


def test_gardens_are_wanted_in_may_and_candles_in_december():
    garden = [shelf.name for shelf in CATEGORIES].index("Garden")
    candles = [shelf.name for shelf in CATEGORIES].index("Candles")
    may, december = category_wants(date(2026, 5, 5)), category_wants(date(2026, 12, 16))
    assert may[garden] > december[garden] + 1.5
    assert december[candles] > may[candles] + 1.0


def test_the_year_is_visible_in_what_is_clicked(shop: Shop):
    garden = [shelf.name for shelf in CATEGORIES].index("Garden")

    def garden_share(first: date) -> float:
        days = [first + timedelta(days=offset) for offset in range(10)]
        clicked = np.concatenate(
            [of_type(shop._simulated(day).rows, EventType.CLICK)["item"] for day in days]
        )
        return float(np.mean(shop.world.items.category[clicked] == garden))

    assert garden_share(date(2026, 5, 1)) > 1.5 * garden_share(date(2026, 11, 1))


def test_scatter_is_even_and_depends_on_every_key():
    lots = scatter(np.arange(60_000), 3, 7) % np.uint64(6)
    counts = np.bincount(lots.astype(np.int64), minlength=6)
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)
    assert np.mean(scatter(np.arange(1_000), 3) == scatter(np.arange(1_000), 4)) == 0.0
