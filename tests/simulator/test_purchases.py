from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from domain.events import EventType
from simulator.config import PRESETS
from simulator.purchases import RETURN_DAYS, returns
from simulator.rows import TYPES, of_type
from simulator.shop import Shop, simulate


def kind(log: pa.Table, name: str) -> pa.Table:
    return log.filter(pc.equal(log["event_type"], name))


def test_what_is_bought_was_put_into_the_cart_in_the_same_session(log: pa.Table):
    keys = ("session_id", "item_id")
    carts, bought = kind(log, "add_to_cart"), kind(log, "purchase")
    put = set(zip(*(carts[name].to_pylist() for name in keys), strict=True))
    paid = list(zip(*(bought[name].to_pylist() for name in keys), strict=True))
    assert set(paid) < put
    assert len(set(paid)) == len(paid)


def test_what_is_returned_was_bought_up_to_ten_days_before(log: pa.Table):
    keys = ("user_id", "item_id", "quantity", "unit_price_cents", "day")
    bought = set(zip(*(kind(log, "purchase")[name].to_pylist() for name in keys), strict=True))
    back = list(zip(*(kind(log, "return")[name].to_pylist() for name in keys), strict=True))
    assert back
    for *what, day in back:
        days = (day - timedelta(days=delay) for delay in range(1, RETURN_DAYS + 1))
        assert any((*what, earlier) in bought for earlier in days)


def test_over_the_following_days_each_return_comes_back_once(shop: Shop):
    count = 0
    for day in (shop.days[0] + timedelta(days=offset) for offset in range(30)):
        purchases = of_type(shop._simulated(day).rows, EventType.PURCHASE)
        later = [day + timedelta(days=delay) for delay in range(1, RETURN_DAYS + 2)]
        back = [returns(shop.world, purchases, bought_on=day, day=then) for then in later]
        returned = Counter((row["user"], row["item"]) for rows in back for row in rows)
        bought = Counter((row["user"], row["item"]) for row in purchases)
        assert all(bought[pair] >= times for pair, times in returned.items())
        assert len(back[-1]) == 0
        count += returned.total()
    assert count > 10


def test_people_buy_again_what_they_bought(log: pa.Table):
    bought = kind(log, "purchase")
    pairs = Counter(zip(bought["user_id"].to_pylist(), bought["item_id"].to_pylist(), strict=True))
    again = sum(count > 1 for count in pairs.values()) / len(pairs)
    assert 0.08 < again < 0.5


def hits_at_10(shop: Shop, *, test_days: int) -> tuple[int, int, int]:
    """The last days' purchases of known people; hits of their own top ten, and of the shop's."""
    cutoff = shop.days[-test_days]
    said = {EventType.CLICK.value, EventType.ADD_TO_CART.value, EventType.PURCHASE.value}
    seen: dict[int, Counter[int]] = {}
    popular: Counter[int] = Counter()
    later: list[tuple[int, int]] = []
    for day in shop.days:
        rows = shop._simulated(day).rows
        for row in rows[~shop.world.users.is_bot[rows["user"]]]:
            user, item, event_type = int(row["user"]), int(row["item"]), TYPES[row["type"]]
            if day < cutoff and event_type in said:
                seen.setdefault(user, Counter())[item] += 1
                popular[item] += 1
            elif day >= cutoff and event_type is EventType.PURCHASE:
                later.append((user, item))
    best = {item for item, _ in popular.most_common(10)}
    known = [(user, item) for user, item in later if user in seen]
    personal = sum(item in dict(seen[user].most_common(10)) for user, item in known)
    return len(known), personal, sum(item in best for _, item in known)


def test_what_one_bought_says_more_about_the_next_purchase_than_popularity():
    # Larger than debug, whose ten best items are a fifth of its consumables.
    shop = simulate(replace(PRESETS["debug"], user_count=800, item_count=1_000), seed=7)
    known, personal, popular = hits_at_10(shop, test_days=4)
    assert known > 150
    assert personal > 1.4 * popular


@pytest.mark.slow
def test_in_the_base_shop_what_one_bought_says_several_times_more_than_popularity():
    known, personal, popular = hits_at_10(simulate(PRESETS["base"], seed=7), test_days=7)
    assert known > 1_000
    assert personal > 3 * popular
