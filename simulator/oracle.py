"""What is true, for any user, item and moment: what every estimate is compared with."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np

from simulator.randomness import Floats, Ints, Strings
from simulator.searches import LABELS, grades, relevance
from simulator.shop import Shop
from simulator.taste import cart_probability, checkout_probability, click_probability


class Oracle:
    """The planted truth of a shop, by the shop's own ids.

    A moment stands for its UTC day: nothing that is wanted changes within a day.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._user_rows = _rows_by_id(shop.world.users.ids)
        self._item_rows = _rows_by_id(shop.world.items.ids)

    def probability(
        self, user_ids: Sequence[str], item_ids: Sequence[str], moment: datetime
    ) -> Floats:
        """Probability that each user, looking at each item, clicks it. No position is in it.

        Holds on home, item page and cart; after a typed search see ``search_probability``.

        Args:
            user_ids: One for each pair.
            item_ids: One for each pair, same order.
            moment: Timezone-aware, on or after the shop's first day.

        Raises:
            ValueError: If an id is unknown, lengths differ, or the moment has no timezone.
        """
        users, items = self._pairs(user_ids, item_ids)
        return click_probability(self._shop.today(_day_of(moment)), users, items)

    def purchase_probability(
        self, user_ids: Sequence[str], item_ids: Sequence[str], moment: datetime
    ) -> Floats:
        """Probability that each user, looking at each item, clicks it and goes on to buy it.

        An item that a user comes for (a habit on its day) is bought without being shown: see
        ``trips``. Arguments and errors as in ``probability``.
        """
        users, items = self._pairs(user_ids, item_ids)
        today = self._shop.today(_day_of(moment))
        clicked = click_probability(today, users, items)
        carted = cart_probability(today, users, items)
        return clicked * carted * checkout_probability(today, users, items)

    def search_probability(
        self, day: date, request_ids: Sequence[str], item_ids: Sequence[str]
    ) -> Floats:
        """Probability that who typed each search of ``day``, looking at each item, clicks it.

        Raises:
            ValueError: If a request is no search of that day, or an item is unknown.
        """
        queries = self._shop.queries(day)
        rows = self._query_rows(day, request_ids)
        items = _rows_of(item_ids, self._item_rows, what="item")
        fit = relevance(queries, rows, self._shop.world.items, items)
        return click_probability(self._shop.today(day), queries.user[rows], items, relevance=fit)

    def search_labels(
        self, day: date, request_ids: Sequence[str], item_ids: Sequence[str]
    ) -> list[str]:
        """exact, substitute, complement or irrelevant, for each search of ``day`` and item.

        Arguments and errors as in ``search_probability``.
        """
        rows = self._query_rows(day, request_ids)
        items = _rows_of(item_ids, self._item_rows, what="item")
        graded = grades(self._shop.queries(day), rows, self._shop.world.items, items)
        return [LABELS[grade] for grade in graded]

    def trips(self, day: date) -> set[tuple[str, str]]:
        """The (user_id, item_id) of every habit that its user sees to on ``day``."""
        world = self._shop.world
        users, slots = np.nonzero(self._shop.today(day).is_trip_UH)
        items = world.habits.item_UH[users, slots]
        return set(zip(world.users.ids[users], world.items.ids[items], strict=True))

    def ranking(self, user_id: str, moment: datetime, k: int) -> list[str]:
        """The k items available on that day that the user would most likely click, best first.

        Fewer if fewer are available; equal probabilities by item_id.

        Raises:
            ValueError: If k < 1 or the user is unknown.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        today = self._shop.today(_day_of(moment))
        user = _rows_of([user_id], self._user_rows, what="user")
        chance = click_probability(today, user, today.available_items)
        best = np.argsort(-chance, kind="stable")[:k]
        return [str(self._shop.world.items.ids[row]) for row in today.available_items[best]]

    def _pairs(self, user_ids: Sequence[str], item_ids: Sequence[str]) -> tuple[Ints, Ints]:
        if len(user_ids) != len(item_ids):
            raise ValueError(f"pairs expected, got {len(user_ids)} users, {len(item_ids)} items")
        return (
            _rows_of(user_ids, self._user_rows, what="user"),
            _rows_of(item_ids, self._item_rows, what="item"),
        )

    def _query_rows(self, day: date, request_ids: Sequence[str]) -> Ints:
        numbers = self._shop.search_request_ids(day)
        return _rows_of(request_ids, _rows_by_id(numbers), what=f"search of {day}")


def _rows_by_id(ids: Strings) -> dict[str, int]:
    return {str(name): row for row, name in enumerate(ids)}


def _rows_of(ids: Sequence[str], rows: dict[str, int], *, what: str) -> Ints:
    try:
        return np.array([rows[name] for name in ids], dtype=np.int64)
    except KeyError as error:
        raise ValueError(f"unknown {what}: {error.args[0]!r}") from error


def _day_of(moment: datetime) -> date:
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a timezone, got {moment.isoformat()}")
    return moment.astimezone(UTC).date()
