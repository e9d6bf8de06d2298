"""How large the shop is and how it behaves: one frozen object, and named presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class ShopConfig:
    """A shop's size and habits. Shares are in [0, 1]; both days are inclusive.

    Attributes:
        first_day: First simulated day; nobody visits before it.
        last_day: Last day of the preset. Later days can be generated too.
        user_count: Users signed up by the end of ``last_day``, bots among them.
        item_count: Items that were ever available by the end of ``last_day``.
        new_user_share: Share of the users who sign up after ``first_day``.
        new_item_share: Share of the items that arrive after ``first_day``.
        arrival_days: For so many days after ``last_day`` users and items keep arriving.
        sessions_per_user_day: Mean sessions of one person on one day without a season.
        bot_share: Share of the users who are bots.
        dirt_rate: Unfit rows planted per clean event.
        position_exponent: A person looks at position p with probability p ** -exponent.
        exploration: Share of every slate's probability that is spread evenly over all items.
    """

    first_day: date
    last_day: date
    user_count: int
    item_count: int
    new_user_share: float = 0.2
    new_item_share: float = 0.15
    arrival_days: int = 365
    sessions_per_user_day: float = 0.041
    bot_share: float = 0.005
    dirt_rate: float = 0.005
    position_exponent: float = 0.7
    exploration: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a shop that cannot be.

        Raises:
            ValueError: If the days are reversed, a share is outside [0, 1], or it is too small.
        """
        if self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        if self.user_count < 20 or self.item_count < 100:
            raise ValueError(
                "a shop needs at least 20 users and 100 items, "
                f"got {self.user_count} and {self.item_count}"
            )
        for name in ("new_user_share", "new_item_share", "bot_share", "dirt_rate", "exploration"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("sessions_per_user_day", "position_exponent", "arrival_days"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")

    @property
    def days(self) -> tuple[date, ...]:
        """The preset's days, first to last."""
        count = (self.last_day - self.first_day).days + 1
        return tuple(self.first_day + timedelta(days=offset) for offset in range(count))


PRESETS: Final[Mapping[str, ShopConfig]] = MappingProxyType(
    {
        "debug": ShopConfig(
            first_day=date(2026, 2, 16),
            last_day=date(2026, 3, 1),
            user_count=200,
            item_count=150,
            sessions_per_user_day=0.25,
            bot_share=0.02,
            dirt_rate=0.02,
            arrival_days=60,
        ),
        "base": ShopConfig(
            first_day=date(2026, 1, 1),
            last_day=date(2026, 3, 1),
            user_count=3_000,
            item_count=2_000,
        ),
    }
)
"""``debug``: two weeks for tests. ``base``: 60 days, about 300,000 impressions."""
