"""What changes with the calendar: traffic, wants, hours of the day, weekly sales."""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.randomness import Bools, Floats, Ints, pick
from simulator.vocabulary import CATEGORIES

WEEKDAY_TRAFFIC: Final = (0.95, 0.88, 0.90, 0.94, 1.0, 1.12, 1.28)
"""Monday to Sunday."""

BUSIEST_DAY: Final = 345
TRAFFIC_SWING: Final = 0.35
SALE_DISCOUNT: Final = 0.2
SALE_EVERY_WEEKS: Final = 12

_HOUR_WEIGHTS: Final = np.array(
    [0, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 11, 13, 12, 10, 10, 11, 13, 16, 20, 22, 18, 10, 0],
    dtype=np.float64,
)
"""Visits by UTC hour. None start in the first or the last hour of a day, so that no session crosses
midnight and the sessions of two days never touch."""


def _wave(day: date, peak_day: int) -> float:
    """1 on the peak day of the year, -1 half a year from it."""
    day_of_year = day.timetuple().tm_yday
    return float(np.cos(2.0 * np.pi * (day_of_year - peak_day) / 365.25))


def traffic(day: date) -> float:
    """How busy the shop is on a day; 1 is an ordinary Friday of spring or autumn."""
    return WEEKDAY_TRAFFIC[day.weekday()] * (1.0 + TRAFFIC_SWING * _wave(day, BUSIEST_DAY))


def category_wants(day: date) -> Floats:
    """Logits by which each category is wanted more than in the mean of the year."""
    return np.array([shelf.season_strength * _wave(day, shelf.peak_day) for shelf in CATEGORIES])


def visit_seconds(rng: np.random.Generator, *, count: int) -> Floats:
    """Seconds after midnight at which visits start, from 01:00 to before 23:00."""
    hours = pick(rng, _HOUR_WEIGHTS, count=count)
    return (hours + rng.random(count)) * 3_600.0


def scatter(*keys: Ints | int) -> npt.NDArray[np.uint64]:
    """A well-mixed number for each combination of keys: chance without a generator's state.

    Source: the finalizer of splitmix64 (Steele et al., 2014), once per key.
    """
    mixed: npt.NDArray[np.uint64] = np.array(0x9E3779B97F4A7C15, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            mixed = np.asarray(np.asarray(key, dtype=np.int64).astype(np.uint64) + mixed)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def is_on_sale(item_rows: Ints, day: date, *, seed: int) -> Bools:
    """Which items are reduced in the week of ``day`` (Monday to Sunday)."""
    week = (day.toordinal() - 1) // 7
    lot = scatter(item_rows, week, seed)
    return np.asarray(lot % np.uint64(SALE_EVERY_WEEKS) == 0)
