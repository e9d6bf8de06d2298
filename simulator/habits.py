"""What people buy again and again: planted, so that it needs no memory of earlier days.

A habit is one user's consumable, bought about every ``period`` days. When it is due the user makes
a trip for it with a known probability; around that day the item is also wanted more wherever it is
shown. The day of a trip shifts by up to one day from one time to the next.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from simulator.catalog import Items
from simulator.config import ShopConfig
from simulator.randomness import Bools, Ints, Stream, generator, pick
from simulator.seasons import scatter
from simulator.taste import affinity
from simulator.users import Users
from simulator.vocabulary import CATEGORIES

# U users, H habits a user can have, N items.

MOST_HABITS: Final = 3
HABIT_COUNT_WEIGHTS: Final = (0.5, 0.3, 0.15, 0.05)
PERIODS: Final = (7, 10, 14, 21, 28, 35)
TRIP_PROBABILITY: Final = 0.75
"""A due habit is seen to with this probability, then it waits for its next time."""

SHARPNESS: Final = 1.5
"""How surely a habit falls on what the user likes best: a factor on the logits of taste."""

_CHUNK: Final = 1_000


@dataclass(frozen=True)
class Habits:
    """``item_UH`` is an item row, -1 where a user has fewer habits. Periods and phases in days."""

    item_UH: Ints
    period_UH: Ints
    phase_UH: Ints
    seed: int

    def is_needed(self, day: date) -> Bools:
        """Which habits [U, H] are within one day of their time: wanted more wherever shown."""
        ordinal = day.toordinal()
        return np.asarray((np.abs(self._offset(ordinal)) <= 1) & (self.item_UH >= 0))

    def is_trip(self, day: date) -> Bools:
        """Which habits [U, H] their user sees to on ``day``, if the item can be bought."""
        ordinal = day.toordinal()
        offset = self._offset(ordinal)
        round_number = (ordinal - offset - self.phase_UH) // self.period_UH
        users = np.arange(self.item_UH.shape[0])[:, None]
        slots = np.arange(self.item_UH.shape[1])
        lot = scatter(users, slots, round_number, self.seed)
        shift = (lot % np.uint64(3)).astype(np.int64) - 1
        luck = (lot >> np.uint64(11)).astype(np.float64) / 2.0**53
        return np.asarray((offset == shift) & (luck < TRIP_PROBABILITY) & (self.item_UH >= 0))

    def _offset(self, ordinal: int) -> Ints:
        """Days since the nearest due day; negative before it."""
        half = self.period_UH // 2
        return (ordinal - self.phase_UH + half) % self.period_UH - half


def make_habits(config: ShopConfig, users: Users, items: Items, *, seed: int) -> Habits:
    """Give people up to three habits each, by taste, among the consumables there when they came."""
    rng = generator(seed, Stream.HABITS)
    count = pick(rng, np.array(HABIT_COUNT_WEIGHTS), count=len(users))
    chosen = _favorite_consumables(rng, config, users, items)
    none = (np.arange(MOST_HABITS) >= count[:, None]) | users.is_bot[:, None]
    period_UH = np.array(PERIODS)[rng.integers(len(PERIODS), size=chosen.shape)]
    return Habits(
        item_UH=np.where(none, -1, chosen),
        period_UH=period_UH,
        phase_UH=rng.integers(0, period_UH),
        seed=seed,
    )


def _favorite_consumables(
    rng: np.random.Generator, config: ShopConfig, users: Users, items: Items
) -> Ints:
    """``MOST_HABITS`` different item rows for each user [U, H], the likelier the more wanted."""
    consumable = np.array([shelf.is_consumable for shelf in CATEGORIES])[items.category]
    candidates = np.flatnonzero(consumable)
    tiers = items.price_tiers(items.list_price_cents)
    came = np.maximum(users.signup_day, config.first_day.toordinal())
    chosen: list[Ints] = []
    for start in range(0, len(users), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(users)))
        wants = SHARPNESS * affinity(users, items, rows[:, None], candidates[None, :], tiers)
        came_then = came[rows, None]
        there = (items.first_day[candidates] <= came_then) & (
            items.last_day[candidates] > came_then
        )
        drawn = np.where(there, wants, -100.0) + rng.gumbel(size=wants.shape)
        best = np.argpartition(-drawn, MOST_HABITS, axis=1)[:, :MOST_HABITS]
        # The order within the partition is arbitrary; the likeliest habit comes first.
        order = np.argsort(-np.take_along_axis(drawn, best, axis=1), axis=1, kind="stable")
        chosen.append(candidates[np.take_along_axis(best, order, axis=1)])
    return np.concatenate(chosen)
