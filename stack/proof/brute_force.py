"""Every feature a second time, from raw events alone: the twin it must equal.

Nothing is shared with dbt's SQL, with Feast or with ``features/``. dbt adds up what enters and
leaves a window day by day; here a window is cut out of the raw moments and counted. A new feature
needs its twin here: ``vitrine verify --features`` refuses one that has none.

Moments are whole microseconds since 1970, UTC; days are whole days since 1970.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Value = int | float | list[str] | list[float] | None
Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

DAY: Final = 86_400_000_000
SECOND: Final = 1_000_000
INTERACTIONS: Final = ("click", "add_to_cart", "purchase")
ENTITIES: Final = {
    "user_features": "user_id",
    "item_features": "item_id",
    "user_history": "user_id",
}
COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "user_features": (*INTERACTIONS, "return"),
    "item_features": ("impression", *INTERACTIONS, "return"),
    "user_history": INTERACTIONS,
}
"""What makes a row of a view."""

ROW_AFTER_DAYS: Final[Mapping[str, tuple[int, ...]]] = {
    "user_features": (0, 7, 30, 90),
    "item_features": (0, 7, 30, 90),
    "user_history": (0,),
}
"""An event makes a row on its own day, and one on each day on which it leaves a window."""

TRUE_FOR_DAYS: Final[Mapping[str, int | None]] = {
    "user_features": 91,
    "item_features": 91,
    "user_history": None,
}
HISTORY: Final = 50
BOUGHT: Final = 2_000
HALF_LIFE_DAYS: Final = 90


@dataclass(frozen=True)
class Acts:
    """Events of one user or one item, oldest first; ``partner`` is the other of the two."""

    moment: Ints
    kind: npt.NDArray[np.str_]
    partner: Objects
    quantity: Objects
    price: Objects

    def __len__(self) -> int:
        return len(self.moment)

    def take(self, places: Ints) -> "Acts":
        """The events at these places."""
        return Acts(*(column[places] for column in vars(self).values()))

    def of(self, kinds: Collection[str], *, until: int, days: int | None = None) -> "Acts":
        """Events of these kinds in the ``days`` whole days that end with the moment ``until``."""
        first = 0 if days is None else np.searchsorted(self.moment, until - days * DAY)
        last = np.searchsorted(self.moment, until)  # The first event at or after ``until``.
        wanted = np.zeros(last - first, dtype=bool)
        for kind in kinds:
            wanted |= self.kind[first:last] == kind
        return self.take(np.flatnonzero(wanted) + first)


Twin = Callable[[Acts, int], Value]
"""An entity's events and a midnight → the feature, of what happened before that midnight."""


def _count(kind: str, *, days: int) -> Twin:
    return lambda acts, until: len(acts.of([kind], until=until, days=days))


def _partners(kind: str, *, days: int) -> Twin:
    return lambda acts, until: len(set(acts.of([kind], until=until, days=days).partner))


def _days(kind: str, *, days: int) -> Twin:
    return lambda acts, until: len(set(acts.of([kind], until=until, days=days).moment // DAY))


def _price_mean(*, days: int) -> Twin:
    def mean(acts: Acts, until: int) -> float | None:
        bought = acts.of(["purchase"], until=until, days=days)
        prices = [price for price in bought.price if price is not None]
        return sum(prices) / len(prices) if prices else None

    return mean


def _spend_cents_90d(acts: Acts, until: int) -> int:
    bought = acts.of(["purchase"], until=until, days=90)
    paid = zip(bought.quantity, bought.price, strict=True)
    return sum(many * price for many, price in paid if many is not None and price is not None)


def _last_interaction_timestamp(acts: Acts, until: int) -> int | None:
    moments = acts.of(INTERACTIONS, until=until).moment
    return int(moments[-1]) if len(moments) else None


def _first_sold_timestamp(acts: Acts, until: int) -> int | None:
    moments = acts.of(["purchase"], until=until).moment
    return int(moments[0]) if len(moments) else None


def _history_item_ids(acts: Acts, until: int) -> list[str]:
    seen = acts.of(INTERACTIONS, until=until)
    first: dict[tuple[int, str], int] = {}
    for moment, item in zip(seen.moment.tolist(), seen.partner, strict=True):
        first.setdefault((moment // DAY, item), moment)
    ordered = sorted(first, key=lambda found: (found[0], first[found], found[1]))
    return [item for _, item in ordered[-HISTORY:]]


def _days_bought(acts: Acts, until: int) -> list[tuple[str, set[int]]]:
    """Item and the days it was bought, the last bought first, the id breaking ties."""
    bought = acts.of(["purchase"], until=until)
    days: dict[str, set[int]] = {}
    for moment, item in zip(bought.moment.tolist(), bought.partner, strict=True):
        days.setdefault(item, set()).add(moment // DAY)
    return sorted(days.items(), key=lambda found: (-max(found[1]), found[0]))[:BOUGHT]


def _bought_item_ids(acts: Acts, until: int) -> list[str]:
    return [item for item, _ in _days_bought(acts, until)]


def _bought_item_weights(acts: Acts, until: int) -> list[float]:
    row_day = until // DAY - 1
    return [
        sum(0.5 ** ((row_day - day) / HALF_LIFE_DAYS) for day in days)
        for _, days in _days_bought(acts, until)
    ]


TWINS: Final[Mapping[str, Mapping[str, Twin]]] = {
    "user_features": {
        "click_count_7d": _count("click", days=7),
        "click_count_30d": _count("click", days=30),
        "add_to_cart_count_30d": _count("add_to_cart", days=30),
        "purchase_count_7d": _count("purchase", days=7),
        "purchase_count_30d": _count("purchase", days=30),
        "purchase_count_90d": _count("purchase", days=90),
        "purchase_item_count_90d": _partners("purchase", days=90),
        "purchase_day_count_90d": _days("purchase", days=90),
        "return_count_90d": _count("return", days=90),
        "spend_cents_90d": _spend_cents_90d,
        "price_mean_90d": _price_mean(days=90),
        "last_interaction_timestamp": _last_interaction_timestamp,
    },
    "item_features": {
        "impression_count_7d": _count("impression", days=7),
        "click_count_7d": _count("click", days=7),
        "click_count_30d": _count("click", days=30),
        "add_to_cart_count_30d": _count("add_to_cart", days=30),
        "purchase_count_7d": _count("purchase", days=7),
        "purchase_count_30d": _count("purchase", days=30),
        "purchase_count_90d": _count("purchase", days=90),
        "purchase_user_count_7d": _partners("purchase", days=7),
        "purchase_user_count_30d": _partners("purchase", days=30),
        "return_count_90d": _count("return", days=90),
        "price_mean_30d": _price_mean(days=30),
        "first_sold_timestamp": _first_sold_timestamp,
    },
    "user_history": {
        "history_item_ids": _history_item_ids,
        "bought_item_ids": _bought_item_ids,
        "bought_item_weights": _bought_item_weights,
    },
}


def price_ratio(item_price_cents: float | None, price_mean: float | None) -> float:
    """1.0 where a price is unknown or not positive."""
    if not item_price_cents or not price_mean or item_price_cents < 0 or price_mean < 0:
        return 1.0
    return item_price_cents / price_mean


def days_since(last: int | None, now: int) -> float | None:
    """Days and fractions of one; never negative."""
    return None if last is None else max(now - last, 0) / DAY


REQUEST_VIEW: Final = "request_features"
REQUEST_TWINS: Final = ("price_ratio", "days_since_last_interaction")
"""What needs the request has a function of its own: its inputs are features themselves."""

ALL_TWINS: Final[Mapping[str, Collection[str]]] = {**TWINS, REQUEST_VIEW: REQUEST_TWINS}
"""View → every feature that is proven."""


def entity_acts(events: pl.DataFrame, entity: str, ids: Collection[str]) -> dict[str, Acts]:
    """The events of each of these users (``entity`` is ``user_id``) or items that has any."""
    partner = "item_id" if entity == "user_id" else "user_id"
    mine = events.filter(pl.col(entity).is_in(list(ids))).sort("event_timestamp")
    groups = mine.partition_by(entity, as_dict=True)
    return {str(key[0]): _acts(rows, partner) for key, rows in groups.items()}


def _acts(rows: pl.DataFrame, partner: str) -> Acts:
    partners, quantities, prices = (
        np.array(rows[name].to_list(), dtype=object)
        for name in (partner, "quantity", "unit_price_cents")
    )
    return Acts(
        rows["event_timestamp"].dt.epoch("us").to_numpy(),
        np.array(rows["event_type"].to_list(), dtype=str),
        partners,
        quantities,
        prices,
    )


def values(view: str, acts: Acts | None, *, seen: int, newest: int, asked: int) -> dict[str, Value]:
    """The view's features, as of the end of the day ``seen``; all None where no row is true.

    Args:
        view: A key of ``TWINS``.
        acts: The entity's events, those after ``seen`` among them; None: it never had any.
        seen: The last whole day that may be known.
        newest: The last day that was built; later days add nothing.
        asked: The day of the moment asked about: a row that is too old by then is not true.
    """
    last = min(seen, newest)
    row_day = None if acts is None else _row_day(view, acts, last)
    keeps = TRUE_FOR_DAYS[view]
    if acts is None or row_day is None or (keeps is not None and asked - row_day > keeps):
        return dict.fromkeys(TWINS[view])
    # A weight is as of its row; a window is empty of news between its row and ``last``.
    until = (row_day if view == "user_history" else last) * DAY + DAY
    return {name: twin(acts, until) for name, twin in TWINS[view].items()}


def _row_day(view: str, acts: Acts, last: int) -> int | None:
    """The newest day up to ``last`` on which the entity has a row."""
    days = acts.of(COUNTED[view], until=(last + 1) * DAY).moment // DAY
    found = [
        int(days[reached - 1]) + after
        for after in ROW_AFTER_DAYS[view]
        if (reached := np.searchsorted(days, last - after, side="right"))
    ]
    return max(found, default=None)
