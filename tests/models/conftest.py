"""A small shop with planted tastes, for the tests of models: who likes what is known."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from domain.schemas import ITEMS, RETRIEVAL_EXAMPLES
from models.catalog import Catalog

FIRST_DAY = date(2026, 1, 1)
GROUPS = ("garden", "kitchen", "candle", "paper")


@dataclass(frozen=True)
class PlantedShop:
    """User u likes the items of group u % 4; item i is of group i % 4 and its title says so."""

    items: pa.Table
    catalog: Catalog
    examples: pa.Table
    cutoff: date
    until: date

    def before(self, day: date) -> pa.Table:
        """The examples before ``day``."""
        return self.examples.filter(pa.compute.field("event_date") < pa.scalar(day))

    @staticmethod
    def table(rows) -> pa.Table:
        """RETRIEVAL_EXAMPLES of (user_id, item_id, day) purchases, at noon."""
        days = [row[2] for row in rows]
        return pa.table(
            {
                "user_id": [row[0] for row in rows],
                "item_id": [row[1] for row in rows],
                "event_date": days,
                "event_timestamp": [datetime(d.year, d.month, d.day, 12, tzinfo=UTC) for d in days],
                "weight": [5.0] * len(rows),
                "is_purchase": [True] * len(rows),
            },
            schema=RETRIEVAL_EXAMPLES,
        )


def _items(count: int) -> pa.Table:
    nothing = [None] * count
    groups = [GROUPS[number % 4] for number in range(count)]
    return pa.table(
        {
            "item_id": [f"i{number:03d}" for number in range(count)],
            "title": [f"{group} thing {number}" for number, group in enumerate(groups)],
            "description": nothing,
            "category": groups,
            "brand": nothing,
            "price_cents": [100 + number for number in range(count)],
            "image_url": nothing,
            "available_from_date": nothing,
            "available_until_date": nothing,
        },
        schema=ITEMS,
    )


def _purchases(*, users: int, items: int, days: int):
    generator = np.random.default_rng(3)
    for user in range(users):
        for day in np.sort(generator.choice(days, size=14, replace=False)):
            group = user % 4 if generator.random() < 0.8 else int(generator.integers(4))
            item = int(generator.integers(items // 4)) * 4 + group
            yield f"u{user:03d}", f"i{item:03d}", FIRST_DAY + timedelta(days=int(day))


@pytest.fixture(autouse=True)
def _on_a_cpu(request, monkeypatch):
    """Golden numbers are a CPU's, and so are tests' tensors; what is marked ``gpu`` takes one."""
    if "gpu" not in request.keywords:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture(scope="session")
def planted() -> PlantedShop:
    """80 users, 40 items, 60 days; the last 15 are there to be judged."""
    return make_planted()


def make_planted() -> PlantedShop:
    """The same, for tests elsewhere."""
    items = _items(40)
    return PlantedShop(
        items=items,
        catalog=Catalog.from_table(items),
        examples=PlantedShop.table(list(_purchases(users=80, items=40, days=60))),
        cutoff=FIRST_DAY + timedelta(days=45),
        until=FIRST_DAY + timedelta(days=60),
    )
