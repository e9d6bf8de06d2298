"""The planted truth: how much each user wants each item, and what follows from it.

All functions broadcast: pairs ``[n], [n]`` give ``[n]``, and ``[n, 1], [1, m]`` give ``[n, m]``.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from simulator.catalog import Items
from simulator.randomness import Bools, Floats, Ints, sigmoid
from simulator.users import Users

if TYPE_CHECKING:
    from simulator.world import Today

CLICK_BASE: Final = -2.9
NEED_BOOST: Final = 2.0
NOVELTY_BOOST: Final = 0.5
NOVELTY_DAYS: Final = 14
BOT_CLICK_PROBABILITY: Final = 0.4
"""A bot clicks this share of what it is shown, whatever and wherever it is."""

CART_BASE, CART_SLOPE = -1.9, 0.4
CHECKOUT_BASE, CHECKOUT_SLOPE = -0.4, 0.25
DUE_CART_PROBABILITY: Final = 0.95
DUE_PURCHASE_PROBABILITY: Final = 0.95


def affinity(
    users: Users, items: Items, user_rows: Ints, item_rows: Ints, price_tiers: Floats
) -> Floats:
    """The lasting part of a user's want for an item, in logits: category, brand, accent, price.

    Args:
        users: All users.
        items: All items.
        user_rows: Rows of users.
        item_rows: Rows of items, broadcast against the users.
        price_tiers: Every item's price tier, by row.
    """
    too_dear = price_tiers[item_rows] - users.price_taste[user_rows]
    return np.asarray(
        users.category_taste_US[user_rows, items.category[item_rows]]
        + users.brand_taste_UB[user_rows, items.brand[item_rows]]
        + users.accent_taste_UA[user_rows, items.accent[item_rows]]
        + items.appeal[item_rows]
        - 0.3 * np.square(np.clip(too_dear, -3.0, 3.0))
    )


def want(today: "Today", user_rows: Ints, item_rows: Ints) -> Floats:
    """A user's whole want for an item today: affinity, season, novelty, and needs, in logits."""
    items = today.world.items
    age = today.day.toordinal() - items.first_day[item_rows]
    needed = is_needed(today, user_rows, item_rows)
    return np.asarray(
        affinity(today.world.users, items, user_rows, item_rows, today.price_tiers)
        + today.category_wants[items.category[item_rows]]
        + np.where(age < NOVELTY_DAYS, NOVELTY_BOOST, 0.0)
        + np.where(needed, NEED_BOOST, 0.0)
    )


def is_needed(today: "Today", user_rows: Ints, item_rows: Ints) -> Bools:
    """Whether an item is a habit of the user that is due about now."""
    habit_items = today.world.habits.item_UH
    found = np.zeros(np.broadcast_shapes(user_rows.shape, item_rows.shape), dtype=np.bool_)
    for slot in range(habit_items.shape[1]):
        found |= (habit_items[user_rows, slot] == item_rows) & today.is_needed_UH[user_rows, slot]
    return found


def click_probability(
    today: "Today", user_rows: Ints, item_rows: Ints, *, relevance: Floats | None = None
) -> Floats:
    """Probability that a user who looks at an item clicks it.

    Args:
        today: The day.
        user_rows: Rows of users.
        item_rows: Rows of items, broadcast against the users.
        relevance: Logits that a typed query adds (``searches.relevance``); none elsewhere.
    """
    logits = CLICK_BASE + want(today, user_rows, item_rows)
    if relevance is not None:
        logits = logits + relevance
    bots = today.world.users.is_bot[user_rows]
    return np.where(bots, BOT_CLICK_PROBABILITY, sigmoid(logits))


def cart_probability(today: "Today", user_rows: Ints, item_rows: Ints) -> Floats:
    """Probability that a user who views an item puts it into the cart; 0 for bots."""
    logits = CART_BASE + CART_SLOPE * want(today, user_rows, item_rows)
    return np.where(today.world.users.is_bot[user_rows], 0.0, sigmoid(logits))


def checkout_probability(today: "Today", user_rows: Ints, item_rows: Ints) -> Floats:
    """Probability that a user buys an item that is in the cart; 0 for bots."""
    logits = CHECKOUT_BASE + CHECKOUT_SLOPE * want(today, user_rows, item_rows)
    return np.where(today.world.users.is_bot[user_rows], 0.0, sigmoid(logits))
