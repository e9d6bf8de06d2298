from datetime import timedelta

import numpy as np
import pyarrow.compute as pc

from simulator.shop import Shop
from simulator.vocabulary import BRANDS, CATEGORIES


def test_the_shop_has_a_dozen_categories_and_forty_brands_of_their_own_names():
    assert len(CATEGORIES) >= 12
    assert len({shelf.name for shelf in CATEGORIES}) == len(CATEGORIES)
    assert len(set(BRANDS)) == len(BRANDS) == 40
    nouns = [noun for shelf in CATEGORIES for noun in shelf.nouns]
    assert len(set(nouns)) == len(nouns)


def test_titles_and_descriptions_say_what_an_item_is(shop: Shop):
    for item in shop.items(shop.days[-1]).to_pylist():
        shelf = next(shelf for shelf in CATEGORIES if shelf.name == item["category"])
        title, description = item["title"], item["description"]
        assert title.endswith(f" by {item['brand']}")
        assert any(noun in title for noun in shelf.nouns)
        assert any(title.startswith(material) for material in shelf.materials)
        assert any(f" {shelf.joiner} {accent} by " in title for accent in shelf.accents)
        assert item["category"] in description
        assert item["brand"] in description
        assert any(use in description for use in shelf.uses)


def test_titles_are_unique_so_that_a_person_can_tell_items_apart(shop: Shop):
    titles = shop.items(shop.days[-1])["title"]
    assert pc.count_distinct(titles).as_py() == len(titles)


def test_new_items_arrive_and_stay_listed(shop: Shop):
    first, last = shop.items(shop.days[0]), shop.items(shop.days[-1])
    assert len(last) == shop.config.item_count
    assert 0.08 < 1 - len(first) / len(last) < 0.16
    assert set(first["item_id"].to_pylist()) < set(last["item_id"].to_pylist())
    assert max(last["available_from_date"].to_pylist()) > shop.days[0]


def test_a_withdrawal_is_not_known_before_its_last_day(shop: Shop):
    items = shop.world.items
    leaving = int(np.flatnonzero(items.last_day > shop.days[0].toordinal() + 2)[0])
    row = int(np.argmin(np.where(items.last_day > shop.days[0].toordinal(), items.last_day, 10**9)))
    last = shop.days[0] + timedelta(days=int(items.last_day[row]) - shop.days[0].toordinal())
    before = shop.items(last - timedelta(days=1)).slice(row, 1).to_pylist()[0]
    on_it = shop.items(last).slice(row, 1).to_pylist()[0]
    assert leaving >= 0
    assert (before["available_until_date"], on_it["available_until_date"]) == (None, last)
    assert row in np.flatnonzero(items.is_available(last))
    assert row not in np.flatnonzero(items.is_available(last + timedelta(days=1)))


def test_a_sale_lasts_from_monday_to_sunday(shop: Shop):
    monday = shop.days[0]
    week = [shop.items(monday + timedelta(days=offset))["price_cents"] for offset in range(8)]
    size = len(week[0])
    assert all(prices.slice(0, size).equals(week[0]) for prices in week[1:7])
    assert not week[7].slice(0, size).equals(week[0])
    assert min(week[0].to_pylist()) > 0
