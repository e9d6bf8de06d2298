"""What is shown and what is clicked.

A person looks at position p with probability p ** -exponent, and clicks what they look at with the
planted probability. A bot looks at everything.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from domain.events import EventType
from simulator.policy import slates
from simulator.randomness import Floats
from simulator.rows import EVENT, SECOND, Rows, blank, type_code
from simulator.searches import Queries, relevance
from simulator.taste import click_probability
from simulator.world import Today

READ_SECONDS: Final = 1.5
LONGEST_THOUGHT_SECONDS: Final = 60.0
CHUNK: Final = 512
"""Requests answered at a time: bounds the memory of a day."""


def show(
    today: Today,
    requests: Rows,
    queries: Queries,
    rng: np.random.Generator,
    *,
    first_request: int,
) -> Rows:
    """The impressions of requests as EVENT rows; requests are numbered from ``first_request``."""
    shown = [
        _impressions(today, requests, rows, queries, rng, first_request=first_request)
        for rows in _batches(requests)
    ]
    return np.concatenate([blank(EVENT, 0), *shown])


def _batches(requests: Rows) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Row numbers of requests of one surface, at most ``CHUNK`` at a time."""
    for surface in np.unique(requests["surface"]):
        rows = np.flatnonzero(requests["surface"] == surface)
        for start in range(0, len(rows), CHUNK):
            yield rows[start : start + CHUNK]


def _impressions(
    today: Today,
    requests: Rows,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    queries: Queries,
    rng: np.random.Generator,
    *,
    first_request: int,
) -> Rows:
    items_RK, propensity_RK = slates(today, requests[rows], queries, rng)
    owner = np.repeat(rows, items_RK.shape[1])
    events = blank(EVENT, len(owner))
    events["type"] = type_code(EventType.IMPRESSION)
    for name in ("time_us", "user", "session", "surface", "query"):
        events[name] = requests[name][owner]
    events["request"] = first_request + owner
    events["item"] = items_RK.ravel()
    events["position"] = np.tile(np.arange(1, items_RK.shape[1] + 1), len(rows))
    events["propensity"] = propensity_RK.ravel()
    return events


def examination(today: Today, impressions: Rows) -> Floats:
    """Probability that each shown item is looked at."""
    seen = impressions["position"].astype(np.float64) ** -today.world.config.position_exponent
    return np.where(today.world.users.is_bot[impressions["user"]], 1.0, seen)


def click(today: Today, impressions: Rows, queries: Queries, rng: np.random.Generator) -> Rows:
    """The clicks on impressions as EVENT rows."""
    fit = relevance(queries, impressions["query"], today.world.items, impressions["item"])
    chance = examination(today, impressions) * click_probability(
        today, impressions["user"], impressions["item"], relevance=fit
    )
    luck = rng.random(len(impressions))
    thought = np.minimum(rng.exponential(5.0, size=len(impressions)), LONGEST_THOUGHT_SECONDS)
    seconds = 2.0 + READ_SECONDS * impressions["position"] + thought
    seconds = np.where(today.world.users.is_bot[impressions["user"]], 0.5, seconds)
    clicks = impressions.copy()
    clicks["type"] = type_code(EventType.CLICK)
    clicks["time_us"] += (seconds * SECOND).astype(np.int64)
    clicks["propensity"] = np.nan
    return np.asarray(clicks[luck < chance])
