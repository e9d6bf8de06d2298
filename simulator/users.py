"""The users: who they are, what they like, how often they come.

Some are bots. They have an id and a signup like everybody else, and no taste.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from domain.schemas import LANDED_USERS
from simulator.catalog import ACCENTS, arrival_days
from simulator.config import ShopConfig
from simulator.randomness import Bools, Floats, Ints, Stream, Strings, generator, pick
from simulator.vocabulary import (
    BRANDS,
    CATEGORIES,
    COUNTRIES,
    COUNTRY_SHARES,
    SEGMENT_CATEGORIES,
    SEGMENT_PRICE_TASTES,
    SEGMENT_SHARES,
    SEGMENTS,
)

# U users, by row: the order of signup. S categories (shelves), B brands, A accents.

OLDEST_SIGNUP_DAYS: Final = 900
FAVORITE_CATEGORIES: Final = 3
FAVORITE_BRANDS: Final = 4
FAVORITE_ACCENTS: Final = 4
HONEYMOON_DAYS: Final = 5
"""New users come more often in their first days."""


@dataclass(frozen=True)
class Users:
    """Every user there will ever be. Tastes are logits; ``signup_day`` is an ordinal.

    ``activity`` is each user's visits against the mean; ``guess_US`` is what the shop's logging
    policy believes of a user's taste in categories (right in tendency, wrong in detail).
    """

    ids: Strings
    segment: Ints
    country: Ints
    signup_day: Ints
    is_bot: Bools
    activity: Floats
    category_taste_US: Floats
    brand_taste_UB: Floats
    accent_taste_UA: Floats
    price_taste: Floats
    guess_US: Floats

    def __len__(self) -> int:
        """How many users there will ever be."""
        return len(self.ids)

    def is_known(self, day: date) -> Bools:
        """Which users have signed up by the end of ``day``."""
        return self.signup_day <= day.toordinal()

    def eagerness(self, day: date) -> Floats:
        """Each user's visits on ``day`` against the mean; 0 before the signup."""
        age = day.toordinal() - self.signup_day
        honeymoon = np.where(age < HONEYMOON_DAYS, 3.0, 1.0)
        return np.where(age >= 0, self.activity * honeymoon, 0.0)

    def snapshot(self, day: date) -> pa.Table:
        """The users signed up by the end of ``day`` as LANDED_USERS, sorted by user_id."""
        known = np.flatnonzero(self.is_known(day))
        days = (self.signup_day[known] - date(1970, 1, 1).toordinal()).astype(np.int32)
        columns = {
            "user_id": self.ids[known],
            "segment": [SEGMENTS[code] for code in self.segment[known]],
            "country": [COUNTRIES[code] for code in self.country[known]],
            "signup_date": pa.array(days),
        }
        return pa.table(
            [pa.array(columns[field.name]).cast(field.type) for field in LANDED_USERS],
            schema=LANDED_USERS,
        )


def make_users(config: ShopConfig, *, seed: int) -> Users:
    """Invent all users, including those who sign up in the years after the preset."""
    rng = generator(seed, Stream.USERS)
    signup_day = arrival_days(
        config,
        rng,
        count=config.user_count,
        new_share=config.new_user_share,
        oldest=OLDEST_SIGNUP_DAYS,
    )
    count = len(signup_day)
    segment = pick(rng, np.array(SEGMENT_SHARES), count=count)
    category_taste_US = _category_tastes(rng, segment)
    return Users(
        ids=np.array([f"u{row:06d}" for row in range(count)], dtype=object),
        segment=segment,
        country=pick(rng, np.array(COUNTRY_SHARES), count=count),
        signup_day=signup_day,
        is_bot=_bots(config, rng, count=count),
        activity=rng.gamma(0.9, 1.0 / 0.9, size=count),
        category_taste_US=category_taste_US,
        brand_taste_UB=_favorites(
            rng, np.ones((count, len(BRANDS))), count=FAVORITE_BRANDS, liked=1.3, other=-0.15
        ),
        accent_taste_UA=_favorites(
            rng, np.ones((count, len(ACCENTS))), count=FAVORITE_ACCENTS, liked=0.8, other=-0.1
        ),
        price_taste=np.array(SEGMENT_PRICE_TASTES)[segment] + rng.normal(0.0, 0.5, size=count),
        guess_US=0.5 * category_taste_US + rng.normal(0.0, 0.6, size=category_taste_US.shape),
    )


def _bots(config: ShopConfig, rng: np.random.Generator, *, count: int) -> Bools:
    """A few of the users who are there from the start, and the same share of the later ones."""
    old = config.user_count - round(config.user_count * config.new_user_share)
    is_bot = rng.random(count) < config.bot_share
    is_bot[:old] = False
    if config.bot_share > 0:
        bots = max(1, round(old * config.bot_share))
        is_bot[rng.choice(old, size=bots, replace=False)] = True
    return is_bot


def _category_tastes(rng: np.random.Generator, segment: Ints) -> Floats:
    names = [shelf.name for shelf in CATEGORIES]
    lean = np.ones((len(SEGMENTS), len(CATEGORIES)))
    for code, favored in enumerate(SEGMENT_CATEGORIES):
        lean[code, [names.index(name) for name in favored]] = 4.0
    return _favorites(rng, lean[segment], count=FAVORITE_CATEGORIES, liked=2.0, other=-1.4)


def _favorites(
    rng: np.random.Generator, weights_UX: Floats, *, count: int, liked: float, other: float
) -> Floats:
    """Logits: about ``liked`` for each user's ``count`` favorites, about ``other`` for the rest."""
    keys = np.log(weights_UX) + rng.gumbel(size=weights_UX.shape)
    favorites = np.argpartition(-keys, count, axis=1)[:, :count]
    tastes = np.full(weights_UX.shape, other)
    np.put_along_axis(tastes, favorites, liked, axis=1)
    return tastes + rng.normal(0.0, 0.2 * liked, size=tastes.shape)
