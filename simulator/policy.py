"""The logging policy: what the shop shows, and with which known probability.

It is deliberately mediocre: it knows popularity, roughly guesses tastes, and explores. Each request
gets exactly K different items; an item's propensity is the exact probability that it is among them.

Source: systematic sampling with unequal probabilities (Madow, 1949). What differs: its order of
the items is drawn once per surface and some hundred requests, not once per request. The order
*within* a slate is by the policy's weight with noise, so a position says something about the item,
as in a real shop.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from domain.events import Surface
from simulator.randomness import Floats, Ints
from simulator.rows import SURFACES, Rows
from simulator.searches import Queries, grades
from simulator.world import Today

# R requests, N items available today, K items on a slate.

SLATE_SIZES: Final[Mapping[Surface, int]] = MappingProxyType(
    {Surface.HOME: 8, Surface.SEARCH: 8, Surface.ITEM_PAGE: 4, Surface.CART: 4}
)

MATCH_LOGITS: Final = (-2.0, 0.0, 3.0, 5.0)
"""How the shop's search weighs irrelevant, complement, substitute and exact items."""

ORDER_NOISE: Final = 0.7


def slates(
    today: Today, requests: Rows, queries: Queries, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Choose what to show for requests of one surface.

    Returns:
        Item rows [R, K], first position first, and their propensities [R, K].
    """
    surface = SURFACES[int(requests["surface"][0])]
    weights_RN = policy_weights(today, requests, queries)
    chance_RN = inclusion_probabilities(weights_RN, size=SLATE_SIZES[surface])
    order = rng.permutation(chance_RN.shape[1])
    picks_RK = order[systematic_sample(chance_RN[:, order], rng, size=SLATE_SIZES[surface])]
    shown_weights = np.take_along_axis(weights_RN, picks_RK, axis=1)
    noise = ORDER_NOISE * rng.gumbel(size=picks_RK.shape)
    by_position = np.argsort(-(np.log(shown_weights) + noise), axis=1)
    picks_RK = np.take_along_axis(picks_RK, by_position, axis=1)
    return today.available_items[picks_RK], np.take_along_axis(chance_RN, picks_RK, axis=1)


def policy_weights(today: Today, requests: Rows, queries: Queries) -> Floats:
    """The policy's weights [R, N] over today's available items; each row sums to 1.

    All requests are of one surface.
    """
    surface = SURFACES[int(requests["surface"][0])]
    logits_RN = today.world.items.promotion[today.available_items] + _context(
        today, requests, queries, surface
    )
    weights: Floats = np.exp(logits_RN - logits_RN.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    explored = today.world.config.exploration
    return np.asarray((1.0 - explored) * weights + explored / weights.shape[1])


def _context(today: Today, requests: Rows, queries: Queries, surface: Surface) -> Floats:
    """What the policy adds for this surface, this user and this page, in logits [R, N]."""
    items, shown = today.world.items, today.available_items
    guess = today.world.users.guess_US[requests["user"][:, None], items.category[shown][None, :]]
    if surface is Surface.HOME:
        return np.asarray(guess)
    if surface is Surface.SEARCH:
        query = requests["query"][:, None]
        match = np.array(MATCH_LOGITS)[grades(queries, query, items, shown[None, :])]
        # A misspelled query finds less surely what was meant.
        return np.asarray(np.where(queries.is_misspelled[query], 0.5, 1.0) * match)
    anchor = requests["anchor"][:, None]
    same_category = items.category[anchor] == items.category[shown]
    same_brand = items.brand[anchor] == items.brand[shown]
    if surface is Surface.ITEM_PAGE:
        same_noun = items.noun[anchor] == items.noun[shown]
        return np.asarray(2.0 * same_category + 1.0 * same_brand + 1.0 * same_noun)
    return np.asarray(0.5 * guess + 1.0 * same_category + 0.5 * same_brand)


def inclusion_probabilities(weights_RN: Floats, *, size: int) -> Floats:
    """Probabilities proportional to the weights that sum to ``size`` in each row, none above 1.

    What would exceed 1 becomes 1, and the others share what is left.

    Raises:
        ValueError: If a row has fewer than ``size`` items.
    """
    if weights_RN.shape[1] < size:
        raise ValueError(f"a slate of {size} needs as many items, got {weights_RN.shape[1]}")
    chance = weights_RN * (size / weights_RN.sum(axis=1, keepdims=True))
    heavy = np.flatnonzero(chance.max(axis=1) > 1.0)
    certain = np.zeros((len(heavy), chance.shape[1]), dtype=np.bool_)
    while np.any(chance[heavy] > 1.0):
        certain |= chance[heavy] >= 1.0
        rest = np.where(certain, 0.0, weights_RN[heavy])
        left = size - certain.sum(axis=1, keepdims=True)
        chance[heavy] = np.where(certain, 1.0, rest * left / rest.sum(axis=1, keepdims=True))
    return np.asarray(np.minimum(chance, 1.0))


def systematic_sample(chance_RN: Floats, rng: np.random.Generator, *, size: int) -> Ints:
    """``size`` different columns for each row, column j with probability ``chance_RN[:, j]``.

    A comb with teeth one apart and a random start is laid on the cumulated probabilities.
    """
    edges = np.cumsum(chance_RN, axis=1)
    edges *= size / edges[:, -1:]
    teeth = np.ceil(edges - rng.random((len(edges), 1))).astype(np.int64)
    teeth[:, -1] = size
    is_hit = np.diff(teeth, axis=1, prepend=0) > 0
    return np.nonzero(is_hit)[1].reshape(len(edges), size)
