"""The simulated shop: what ``simulator.shop`` made up, handed over day by day.

Each day's events come with that day as the day of delivery; users and items are whole snapshots of
each day. A history is the preset's days; a single day may be any day since the shop opened, also
one after them.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import polars as pl
import pyarrow as pa

from domain.errors import BadInputError
from domain.events import Source
from domain.schemas import LANDED
from ingest.raw import Raw, Wants, empty, every, with_own_columns
from simulator.config import PRESETS
from simulator.shop import simulate


class Simulated:
    """The shop of one preset and seed.

    Raises:
        BadInputError: If there is no such preset.
    """

    source = Source.SIMULATED

    def __init__(self, *, preset: str, seed: int) -> None:
        if preset not in PRESETS:
            raise BadInputError(
                f"no simulator preset '{preset}': expected one of {', '.join(PRESETS)}"
            )
        self._shop = simulate(PRESETS[preset], seed=seed)

    def read(self, *, day: date | None, until: date | None, wants: Wants = every) -> Iterator[Raw]:
        """The day, or the preset's days before ``until``. Nothing happened before the opening."""
        if day is not None:
            days = [day] if day >= self._shop.config.first_day else []
        else:
            days = [d for d in self._shop.days if until is None or d < until]
        yield from _raw("events", self._shop.events, days)
        yield from _raw("items", self._shop.items, days)
        yield from _raw("users", self._shop.users, days)


def _raw(table: str, of_day: Callable[[date], pa.Table], days: Sequence[date]) -> Iterator[Raw]:
    schema = LANDED["simulated"][table]
    yield Raw(table, empty(schema), is_stated=bool(days))
    for day in days:
        rows = with_own_columns(pl.DataFrame(of_day(day)), schema)
        rows = rows.with_columns(pl.lit(day).alias("_arrived"))
        yield Raw(table, rows, delivered=frozenset({day}))
