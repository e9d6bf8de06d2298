"""What follows a click: views, more requests, carts, purchases, and returns days later."""

from datetime import date
from typing import Final

import numpy as np

from domain.events import EventType, Surface
from simulator.randomness import Ints, Stream
from simulator.rows import (
    EVENT,
    REQUEST,
    SECOND,
    Rows,
    blank,
    surface_code,
    type_code,
)
from simulator.taste import (
    DUE_CART_PROBABILITY,
    DUE_PURCHASE_PROBABILITY,
    cart_probability,
    checkout_probability,
)
from simulator.vocabulary import CATEGORIES
from simulator.world import Today, World

PAGE_REQUEST_SHARE: Final = 0.5
"""Share of viewed pages on which a person scrolls down to the similar items."""

CART_REQUEST_SHARE: Final = 0.4
LONGEST_DECISION_SECONDS: Final = 120.0
CHECKOUT_SECONDS: Final = 45
RETURN_DAYS: Final = 10
"""A return comes back one to this many days after the purchase."""


def views_of(clicks: Rows) -> Rows:
    """The item pages that clicks open, one second later."""
    views = clicks.copy()
    views["type"] = type_code(EventType.VIEW)
    views["time_us"] += SECOND
    views["surface"] = surface_code(Surface.ITEM_PAGE)
    views["position"] = -1
    views["query"] = -1
    return views


def trips(today: Today, sessions: Rows) -> Rows:
    """The item pages that users open straight away because a habit is due.

    They belong to the user's first session of the day and to no request: nobody showed the item.
    """
    users, slots = np.nonzero(today.is_trip_UH)
    first = np.searchsorted(sessions["user"], users)
    views = blank(EVENT, len(users))
    views["type"] = type_code(EventType.VIEW)
    views["time_us"] = sessions["time_us"][first] + (5 + 20 * slots) * SECOND
    views["user"] = users
    views["item"] = today.world.habits.item_UH[users, slots]
    views["session"] = first
    views["surface"] = surface_code(Surface.ITEM_PAGE)
    views["is_trip"] = True
    return views


def page_requests(today: Today, views: Rows, rng: np.random.Generator) -> Rows:
    """Requests for similar items, from some of the item pages that people opened."""
    return _requests_from(today, views, rng, surface=Surface.ITEM_PAGE, share=PAGE_REQUEST_SHARE)


def cart_requests(today: Today, carts: Rows, rng: np.random.Generator) -> Rows:
    """Requests from the cart page, after some of the items put into it."""
    return _requests_from(today, carts, rng, surface=Surface.CART, share=CART_REQUEST_SHARE)


def _requests_from(
    today: Today, events: Rows, rng: np.random.Generator, *, surface: Surface, share: float
) -> Rows:
    is_bot = today.world.users.is_bot[events["user"]]
    asking = events[(rng.random(len(events)) < share) & ~is_bot]
    requests = blank(REQUEST, len(asking))
    for name in ("session", "user"):
        requests[name] = asking[name]
    requests["time_us"] = asking["time_us"] + SECOND
    requests["surface"] = surface_code(surface)
    requests["anchor"] = asking["item"]
    return requests


def put_in_cart(today: Today, views: Rows, rng: np.random.Generator) -> Rows:
    """The carts that views lead to, with quantities and today's prices."""
    chance = np.where(
        views["is_trip"],
        DUE_CART_PROBABILITY,
        cart_probability(today, views["user"], views["item"]),
    )
    luck = rng.random(len(views))
    wait = np.minimum(10.0 + rng.exponential(20.0, size=len(views)), LONGEST_DECISION_SECONDS)
    carts = views.copy()
    carts["type"] = type_code(EventType.ADD_TO_CART)
    carts["time_us"] += (wait * SECOND).astype(np.int64)
    carts["quantity"] = _quantities(today, views["item"], rng)
    carts["price_cents"] = today.price_cents[views["item"]]
    return np.asarray(carts[luck < chance])


def _quantities(today: Today, item_rows: Ints, rng: np.random.Generator) -> Ints:
    mean = np.array([0.6 if shelf.is_consumable else 0.08 for shelf in CATEGORIES])
    return 1 + rng.poisson(mean[today.world.items.category[item_rows]])


def check_out(today: Today, carts: Rows, rng: np.random.Generator) -> Rows:
    """What is bought at the end of each session. An item twice in one cart is decided on once."""
    pairs = carts["session"] * len(today.world.items) + carts["item"]
    _, first = np.unique(pairs, return_index=True)
    carts = carts[np.sort(first)]
    chance = np.where(
        carts["is_trip"],
        DUE_PURCHASE_PROBABILITY,
        checkout_probability(today, carts["user"], carts["item"]),
    )
    last_cart: Ints = np.zeros(int(carts["session"].max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(last_cart, carts["session"], carts["time_us"])
    bought = carts.copy()
    bought["type"] = type_code(EventType.PURCHASE)
    bought["time_us"] = last_cart[carts["session"]] + CHECKOUT_SECONDS * SECOND
    bought["surface"] = surface_code(Surface.CART)
    return np.asarray(bought[rng.random(len(carts)) < chance])


def returns(world: World, purchases: Rows, *, bought_on: date, day: date) -> Rows:
    """Which of one earlier day's purchases come back on ``day``, as EVENT rows.

    Asked for each of the ``RETURN_DAYS`` days after the purchase, every return comes back once.
    """
    rng = world.generator(Stream.RETURNS, bought_on)
    share = np.array([shelf.return_share for shelf in CATEGORIES])
    is_returned = rng.random(len(purchases)) < share[world.items.category[purchases["item"]]]
    delay = rng.integers(1, RETURN_DAYS + 1, size=len(purchases))
    seconds = rng.integers(9 * 3_600, 18 * 3_600, size=len(purchases))
    back = blank(EVENT, len(purchases))
    back["type"] = type_code(EventType.RETURN)
    back["time_us"] = ((day - date(1970, 1, 1)).days * 86_400 + seconds) * SECOND
    for name in ("user", "item", "quantity", "price_cents"):
        back[name] = purchases[name]
    return np.asarray(back[is_returned & (delay == (day - bought_on).days)])
