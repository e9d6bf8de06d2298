"""The items: what they are, what they cost, when they are there.

An item's title and description are written from its attributes and say nothing that is not true.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from domain.schemas import LANDED_ITEMS
from simulator.config import ShopConfig
from simulator.randomness import Bools, Floats, Ints, Stream, Strings, generator
from simulator.seasons import SALE_DISCOUNT, is_on_sale
from simulator.vocabulary import BRANDS, CATEGORIES, Category

# N items, by row: the order of arrival.

ACCENTS: Final = tuple(sorted({accent for shelf in CATEGORIES for accent in shelf.accents}))
MATERIALS: Final = tuple(sorted({name for shelf in CATEGORIES for name in shelf.materials}))
NOUNS: Final = tuple(sorted({noun for shelf in CATEGORIES for noun in shelf.nouns}))
USES: Final = tuple(sorted({use for shelf in CATEGORIES for use in shelf.uses}))

BRANDS_PER_CATEGORY: Final = 11
TIER_LOG_PRICE: Final = 0.5
"""One price tier is this much in log price above or below the category's median."""

STAYS: Final = date.max.toordinal()
OLDEST_DAYS: Final = 730
WITHDRAWN_SHARE: Final = 0.12


@dataclass(frozen=True)
class Items:
    """Every item there will ever be. Attributes are codes into the vocabulary's tuples.

    ``first_day`` and ``last_day`` (inclusive, ``STAYS`` if never withdrawn) are ordinals;
    ``appeal`` is the part of an item's draw that no attribute tells; ``promotion`` is what the
    shop's logging policy believes of it.
    """

    ids: Strings
    titles: Strings
    descriptions: Strings
    category: Ints
    noun: Ints
    material: Ints
    accent: Ints
    brand: Ints
    use: Ints
    list_price_cents: Ints
    first_day: Ints
    last_day: Ints
    appeal: Floats
    promotion: Floats

    def __len__(self) -> int:
        """How many items there will ever be."""
        return len(self.ids)

    def is_known(self, day: date) -> Bools:
        """Which items have arrived by the end of ``day``, withdrawn ones included."""
        return self.first_day <= day.toordinal()

    def is_available(self, day: date) -> Bools:
        """Which items can be bought on ``day``."""
        return self.is_known(day) & (self.last_day >= day.toordinal())

    def prices(self, day: date, *, seed: int) -> Ints:
        """Every item's price on ``day``, in cents, weekly sales included."""
        rows = np.arange(len(self))
        reduced = np.round(self.list_price_cents * (1.0 - SALE_DISCOUNT)).astype(np.int64)
        return np.where(is_on_sale(rows, day, seed=seed), reduced, self.list_price_cents)

    def price_tiers(self, price_cents: Ints) -> Floats:
        """Prices against their category's median, in tiers."""
        median = np.array([shelf.price_cents for shelf in CATEGORIES])[self.category]
        return np.asarray(np.log(price_cents / median) / TIER_LOG_PRICE)

    def snapshot(self, day: date, *, seed: int) -> pa.Table:
        """The items known on ``day`` as LANDED_ITEMS, sorted by item_id.

        A withdrawal is announced on its last day, never before.
        """
        known = np.flatnonzero(self.is_known(day))
        epoch = date(1970, 1, 1).toordinal()
        last = self.last_day[known]
        columns = {
            "item_id": self.ids[known],
            "title": self.titles[known],
            "description": self.descriptions[known],
            "category": [CATEGORIES[code].name for code in self.category[known]],
            "brand": [BRANDS[code] for code in self.brand[known]],
            "price_cents": self.prices(day, seed=seed)[known],
            "image_url": pa.nulls(len(known), pa.string()),
            "available_from_date": pa.array((self.first_day[known] - epoch).astype(np.int32)),
            "available_until_date": pa.array(
                (last - epoch).astype(np.int32),
                mask=last > day.toordinal(),
            ),
        }
        return pa.table(
            [pa.array(columns[field.name]).cast(field.type) for field in LANDED_ITEMS],
            schema=LANDED_ITEMS,
        )


def make_items(config: ShopConfig, *, seed: int) -> Items:
    """Write the whole catalog, including what arrives in the years after the preset."""
    rng = generator(seed, Stream.ITEMS)
    first_day = arrival_days(
        config, rng, count=config.item_count, new_share=config.new_item_share, oldest=OLDEST_DAYS
    )
    count = len(first_day)
    category = rng.integers(len(CATEGORIES), size=count)
    attributes = _attributes(rng, category)
    price = _list_prices(rng, category, attributes["brand"])
    withdrawn = rng.random(count) < WITHDRAWN_SHARE
    until = first_day + rng.integers(60, 1_200, size=count)
    appeal = rng.normal(0.0, 0.4, size=count)
    titles, descriptions = _texts(category, attributes)
    return Items(
        ids=np.array([f"i{row:06d}" for row in range(count)], dtype=object),
        titles=titles,
        descriptions=descriptions,
        category=category,
        **attributes,
        list_price_cents=price,
        first_day=first_day,
        last_day=np.where(withdrawn, until, STAYS),
        appeal=appeal,
        promotion=0.8 * appeal + rng.normal(0.0, 0.9, size=count),
    )


def arrival_days(
    config: ShopConfig, rng: np.random.Generator, *, count: int, new_share: float, oldest: int
) -> Ints:
    """Ordinals of the days on which ``count`` users or items, and all later ones, arrive, sorted.

    The share that is not new has been there for up to ``oldest`` days before the first day. The
    others arrive at an even rate that goes on for ``config.arrival_days`` after the last day.
    """
    first, days = config.first_day.toordinal(), len(config.days)
    new = round(count * new_share)
    later = round(new / days * config.arrival_days)
    old_days = first - rng.integers(1, oldest + 1, size=count - new)
    new_days = first + rng.integers(0, days, size=new)
    later_days = first + days + rng.integers(0, max(config.arrival_days, 1), size=later)
    return np.sort(np.concatenate([old_days, new_days, later_days]))


def _attributes(rng: np.random.Generator, category: Ints) -> dict[str, Ints]:
    """Codes of noun, material, accent, brand and use; a combination is used once if it can be."""
    codes = {
        name: np.zeros(len(category), dtype=np.int64)
        for name in ("noun", "material", "accent", "brand", "use")
    }
    for shelf_code, shelf in enumerate(CATEGORIES):
        rows = np.flatnonzero(category == shelf_code)
        brands = rng.permutation(len(BRANDS))[:BRANDS_PER_CATEGORY]
        shape = (len(shelf.nouns), len(shelf.materials), len(shelf.accents), len(brands))
        combinations = int(np.prod(shape))
        drawn = rng.choice(combinations, size=len(rows), replace=len(rows) > combinations)
        noun, material, accent, brand = np.unravel_index(drawn, shape)
        codes["noun"][rows] = _codes(shelf.nouns, NOUNS)[noun]
        codes["material"][rows] = _codes(shelf.materials, MATERIALS)[material]
        codes["accent"][rows] = _codes(shelf.accents, ACCENTS)[accent]
        codes["brand"][rows] = brands[brand]
        codes["use"][rows] = rng.choice(_codes(shelf.uses, USES), size=len(rows))
    return codes


def _codes(words: tuple[str, ...], vocabulary: tuple[str, ...]) -> Ints:
    return np.array([vocabulary.index(word) for word in words])


def _list_prices(rng: np.random.Generator, category: Ints, brand: Ints) -> Ints:
    """Cents, ending in 49 or 99: the category's median, the brand's level, some chance."""
    median = np.array([shelf.price_cents for shelf in CATEGORIES])[category]
    level = rng.normal(0.0, 0.35, size=len(BRANDS))[brand]
    raw = median * np.exp(level + rng.normal(0.0, 0.35, size=len(category)))
    return np.maximum(np.round(raw / 50.0).astype(np.int64), 2) * 50 - 1


def _texts(category: Ints, attributes: dict[str, Ints]) -> tuple[Strings, Strings]:
    titles, descriptions = [], []
    codes = zip(category, *(attributes[name] for name in attributes), strict=True)
    for shelf_code, noun, material, accent, brand, use in codes:
        shelf = CATEGORIES[shelf_code]
        name = f"{MATERIALS[material]} {NOUNS[noun]} {shelf.joiner} {ACCENTS[accent]}"
        titles.append(f"{name} by {BRANDS[brand]}")
        descriptions.append(_description(shelf, name, BRANDS[brand], USES[use]))
    return np.array(titles, dtype=object), np.array(descriptions, dtype=object)


def _description(shelf: Category, name: str, brand: str, use: str) -> str:
    closing = "Best bought fresh, again and again." if shelf.is_consumable else "Made to last."
    return f"{name}, made by {brand} for {use}. From our {shelf.name} shelf. {closing}"
