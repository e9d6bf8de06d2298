"""The shop: any day's events and snapshots, from a size, a seed and the day alone."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa

from domain.events import EventType
from simulator.config import ShopConfig
from simulator.day import SimulatedDay, simulate_day
from simulator.dirt import plant
from simulator.purchases import RETURN_DAYS, returns
from simulator.randomness import Strings
from simulator.rows import Rows, in_order, numbered_ids, of_type, to_table
from simulator.searches import Queries
from simulator.world import Today, World, make_today, make_world


def simulate(config: ShopConfig, *, seed: int) -> "Shop":
    """Open a shop. The same config and seed give the same bytes for the same day, in any order.

    Example:
        >>> from simulator.config import PRESETS
        >>> shop = simulate(PRESETS["debug"], seed=7)
        >>> shop.events(shop.days[3]).equals(simulate(shop.config, seed=7).events(shop.days[3]))
        True
    """
    return Shop(make_world(config, seed=seed))


class Shop:
    """A simulated shop. It keeps the last days it made, as later days' returns need them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._simulated = lru_cache(maxsize=RETURN_DAYS + 2)(self._simulate)
        self._delivered = lru_cache(maxsize=2)(self._deliver)
        self.today = lru_cache(maxsize=2)(self._today)

    @property
    def config(self) -> ShopConfig:
        """The shop's size and habits."""
        return self.world.config

    @property
    def days(self) -> tuple[date, ...]:
        """The preset's days. Later ones can be asked for too."""
        return self.world.config.days

    def events(self, day: date) -> pa.Table:
        """What the shop logged on a day: LANDED_EVENTS' columns, all nullable, dirt included.

        Clean rows come first, in order of time, then the dirt.

        Raises:
            ValueError: If the day is before the shop opened.
        """
        return self._delivered(day).events

    def planted_dirt(self, day: date) -> dict[str, int]:
        """How many rows of each kind of dirt (``dirt.Dirt``) stand in ``events(day)``."""
        return dict(self._delivered(day).dirt)

    def users(self, day: date) -> pa.Table:
        """Everybody who has signed up by the end of the day, as LANDED_USERS."""
        return self.world.users.snapshot(day)

    def items(self, day: date) -> pa.Table:
        """Every item known on the day, withdrawn ones included, as LANDED_ITEMS."""
        return self.world.items.snapshot(day, seed=self.world.seed)

    def queries(self, day: date) -> Queries:
        """What people meant by the day's typed searches, by query row: the truth behind them."""
        return self._simulated(day).queries

    def search_request_ids(self, day: date) -> Strings:
        """The request_id of each of the day's typed searches, by query row."""
        return numbered_ids("r", day, self._simulated(day).searches["request"])

    def _today(self, day: date) -> Today:
        return make_today(self.world, day)

    def _simulate(self, day: date) -> SimulatedDay:
        return simulate_day(self.today(day))

    def _deliver(self, day: date) -> "_Delivery":
        rows = in_order(np.concatenate([self._simulated(day).rows, *self._returns(day)]))
        clean = to_table(
            rows,
            day=day,
            user_ids=self.world.users.ids,
            item_ids=self.world.items.ids,
            query_texts=self.queries(day).texts,
        )
        return _Delivery(*plant(self.today(day), clean))

    def _returns(self, day: date) -> list[Rows]:
        earlier = (day - timedelta(days=delay) for delay in range(RETURN_DAYS, 0, -1))
        return [
            returns(self.world, self._purchases(bought_on), bought_on=bought_on, day=day)
            for bought_on in earlier
            if bought_on >= self.config.first_day
        ]

    def _purchases(self, day: date) -> Rows:
        return of_type(self._simulated(day).rows, EventType.PURCHASE)


@dataclass(frozen=True)
class _Delivery:
    events: pa.Table
    dirt: dict[str, int]
