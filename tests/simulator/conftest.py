"""One small shop for all of the room's tests, and its log as the shop's own dirt leaves it."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from simulator.config import PRESETS
from simulator.oracle import Oracle
from simulator.shop import Shop, simulate


@pytest.fixture(scope="session")
def shop() -> Shop:
    return simulate(PRESETS["debug"], seed=7)


@pytest.fixture(scope="session")
def oracle(shop: Shop) -> Oracle:
    return Oracle(shop)


@pytest.fixture(scope="session")
def log(shop: Shop) -> pa.Table:
    """The clean events of all days, with the day they were delivered on."""
    days = []
    for day in shop.days:
        events = shop.events(day)
        clean = events.slice(0, len(events) - sum(shop.planted_dirt(day).values()))
        days.append(clean.append_column("day", pa.array([day] * len(clean), pa.date32())))
    return pa.concat_tables(days)


@pytest.fixture(scope="session")
def shown(shop: Shop, log: pa.Table) -> pa.Table:
    """Impressions, with ``is_clicked`` and ``is_bot``."""
    impressions = log.filter(pc.equal(log["event_type"], "impression"))
    clicks = log.filter(pc.equal(log["event_type"], "click"))
    keys = set(zip(clicks["request_id"].to_pylist(), clicks["item_id"].to_pylist(), strict=True))
    pairs = zip(
        impressions["request_id"].to_pylist(), impressions["item_id"].to_pylist(), strict=True
    )
    bots = pa.array(shop.world.users.ids[shop.world.users.is_bot], pa.string())
    return impressions.append_column(
        "is_clicked", pa.array([pair in keys for pair in pairs])
    ).append_column("is_bot", pc.is_in(impressions["user_id"], bots))
