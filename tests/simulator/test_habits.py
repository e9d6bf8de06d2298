from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.habits import TRIP_PROBABILITY
from simulator.oracle import Oracle
from simulator.shop import Shop
from simulator.vocabulary import CATEGORIES
from simulator.world import make_today


def test_habits_are_different_consumables_and_bots_have_none(shop: Shop):
    item_UH = shop.world.habits.item_UH
    category = shop.world.items.category[item_UH[item_UH >= 0]]
    assert all(CATEGORIES[code].is_consumable for code in set(category.tolist()))
    held = [row[row >= 0].tolist() for row in item_UH]
    assert all(len(set(row)) == len(row) for row in held)
    assert (item_UH[shop.world.users.is_bot] == -1).all()


def test_a_habit_comes_back_about_every_period(shop: Shop):
    habits = shop.world.habits
    days = [shop.days[0] + timedelta(days=offset) for offset in range(420)]
    trips = np.stack([habits.is_trip(day) for day in days]).sum(axis=0)
    held = habits.item_UH >= 0
    expected = TRIP_PROBABILITY * 420 / habits.period_UH
    assert abs(trips[held].sum() / expected[held].sum() - 1) < 0.03
    assert (trips[~held] == 0).all()


def test_nobody_makes_a_trip_for_what_cannot_be_bought(shop: Shop):
    day = next(day for day in shop.days if shop.today(day).is_trip_UH.any())
    user, slot = np.argwhere(shop.today(day).is_trip_UH)[0]
    item = shop.world.habits.item_UH[user, slot]
    last_day = shop.world.items.last_day.copy()
    last_day[item] = day.toordinal() - 1
    withdrawn = replace(shop.world, items=replace(shop.world.items, last_day=last_day))
    today = make_today(withdrawn, day)
    assert not today.is_trip_UH[user, slot]
    assert not today.is_needed_UH[user, slot]


def test_a_trip_is_made_while_the_item_is_needed(shop: Shop):
    for offset in range(40):
        day = shop.days[0] + timedelta(days=offset)
        is_trip = shop.world.habits.is_trip(day)
        assert (shop.world.habits.is_needed(day) | ~is_trip).all()


def test_most_trips_end_in_a_purchase(shop: Shop, log: pa.Table, oracle: Oracle):
    bought = log.filter(pc.equal(log["event_type"], "purchase"))
    columns = (bought[name].to_pylist() for name in ("day", "user_id", "item_id"))
    purchases = set(zip(*columns, strict=True))
    trips = [(day, user, item) for day in shop.days for user, item in oracle.trips(day)]
    share = np.mean([trip in purchases for trip in trips])
    assert len(trips) > 50
    # Into the cart with probability .95, and out of it with .95.
    assert abs(share - 0.95**2) < 4 * np.sqrt(0.95**2 * (1 - 0.95**2) / len(trips))
