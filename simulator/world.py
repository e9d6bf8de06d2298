"""Everything that is true of the shop: for good (``World``), and on one day (``Today``)."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from simulator.catalog import Items, make_items
from simulator.config import ShopConfig
from simulator.habits import Habits, make_habits
from simulator.randomness import Bools, Floats, Ints, Stream, generator
from simulator.seasons import category_wants
from simulator.users import Users, make_users


@dataclass(frozen=True)
class World:
    """The planted truth that does not change."""

    config: ShopConfig
    seed: int
    users: Users
    items: Items
    habits: Habits

    def generator(self, stream: Stream, day: date) -> np.random.Generator:
        """The generator of one purpose on one day."""
        return generator(self.seed, stream, day)


@dataclass(frozen=True)
class Today:
    """The planted truth of one day. Arrays are by user or item row, over all there will ever be."""

    world: World
    day: date
    price_cents: Ints
    price_tiers: Floats
    category_wants: Floats
    is_needed_UH: Bools
    is_trip_UH: Bools
    available_items: Ints

    def generator(self, stream: Stream) -> np.random.Generator:
        """The day's generator of one purpose."""
        return self.world.generator(stream, self.day)

    @property
    def midnight_us(self) -> int:
        """The day's first moment: microseconds since 1970, UTC."""
        return (self.day - date(1970, 1, 1)).days * 86_400_000_000


def make_world(config: ShopConfig, *, seed: int) -> World:
    """Plant the truth of a shop."""
    users = make_users(config, seed=seed)
    items = make_items(config, seed=seed)
    habits = make_habits(config, users, items, seed=seed)
    return World(config, seed, users, items, habits)


def make_today(world: World, day: date) -> Today:
    """The truth of one day.

    Raises:
        ValueError: If the day is before the shop opened.
    """
    if day < world.config.first_day:
        raise ValueError(f"the shop opened on {world.config.first_day}: nothing happened on {day}")
    prices = world.items.prices(day, seed=world.seed)
    available = world.items.is_available(day)
    held = world.habits.item_UH
    possible = available[held] & (held >= 0) & world.users.is_known(day)[:, None]
    return Today(
        world=world,
        day=day,
        price_cents=prices,
        price_tiers=world.items.price_tiers(prices),
        category_wants=category_wants(day),
        is_needed_UH=world.habits.is_needed(day) & possible,
        is_trip_UH=world.habits.is_trip(day) & possible,
        available_items=np.flatnonzero(available),
    )
