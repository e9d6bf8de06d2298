"""One day of the shop, from the first visit to the last purchase."""

from dataclasses import dataclass

import numpy as np

from domain.events import EventType, Surface
from simulator.impressions import click, show
from simulator.purchases import (
    cart_requests,
    check_out,
    page_requests,
    put_in_cart,
    trips,
    views_of,
)
from simulator.randomness import Stream
from simulator.rows import EVENT, Rows, blank, in_order, surface_code, type_code
from simulator.searches import Queries, type_queries
from simulator.sessions import entry_requests, visits
from simulator.world import Today


@dataclass(frozen=True)
class SimulatedDay:
    """What happened on one day, before returns and dirt.

    ``rows`` are EVENT rows in order of time; ``searches`` are those of the typed searches, by query
    row.
    """

    rows: Rows
    searches: Rows
    queries: Queries


def simulate_day(today: Today) -> SimulatedDay:
    """Let a day happen: what is asked, shown, clicked, viewed, put into carts, and bought."""
    rng = today.generator(Stream.CHOICES)
    sessions = visits(today)
    entries = entry_requests(today, sessions, rng)
    searches = _searches(entries)
    queries = type_queries(today, searches["user"])
    answer = _Answers(today, queries, rng)

    first_look, first_views = answer(entries)
    first_views = np.concatenate([first_views, trips(today, sessions)])
    second_look, second_views = answer(page_requests(today, first_views, rng))
    carts = put_in_cart(today, np.concatenate([first_views, second_views]), rng)
    third_look, third_views = answer(cart_requests(today, carts, rng))
    carts = np.concatenate([carts, put_in_cart(today, third_views, rng)])

    looks = [first_look, second_look, third_look]
    views = [first_views, second_views, third_views]
    rows = np.concatenate([searches, *looks, *views, carts, check_out(today, carts, rng)])
    # What was typed stands on the search alone; the others share its request_id.
    rows["query"] = np.where(rows["type"] == type_code(EventType.SEARCH), rows["query"], -1)
    return SimulatedDay(in_order(rows), searches, queries)


class _Answers:
    """Answers requests, and numbers them through the day."""

    def __init__(self, today: Today, queries: Queries, rng: np.random.Generator) -> None:
        self._today, self._queries, self._rng = today, queries, rng
        self._slate_rng = today.generator(Stream.SLATES)
        self._asked = 0

    def __call__(self, requests: Rows) -> tuple[Rows, Rows]:
        """What was shown and clicked (one array), and the views that followed."""
        shown = show(
            self._today, requests, self._queries, self._slate_rng, first_request=self._asked
        )
        self._asked += len(requests)
        clicks = click(self._today, shown, self._queries, self._rng)
        return np.concatenate([shown, clicks]), views_of(clicks)


def _searches(entries: Rows) -> Rows:
    requests = np.flatnonzero(entries["query"] >= 0)
    searches = blank(EVENT, len(requests))
    searches["type"] = type_code(EventType.SEARCH)
    searches["request"] = requests
    searches["surface"] = surface_code(Surface.SEARCH)
    for name in ("time_us", "user", "session", "query"):
        searches[name] = entries[name][requests]
    return searches
