import numpy as np
import pytest

from domain.events import Surface
from simulator.policy import slates
from simulator.rows import REQUEST, blank, surface_code
from simulator.searches import LABELS, grades, misspell, type_queries
from simulator.shop import Shop
from simulator.taste import want


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(0.1, "linn apron"), (0.3, "lineen apron"), (0.6, "linne apron"), (0.9, "linkn apron")],
)
def test_each_slip_changes_one_letter(kind: float, expected: str):
    assert misspell("linen apron", place=0.3, kind=kind, letter=0.999) == expected


def test_a_slip_never_leaves_a_word_as_it_was():
    # Swapping the two o's of wool changes nothing: the letter is dropped instead.
    assert misspell("wool", place=0.0, kind=0.6, letter=0.0) == "wol"


def test_a_share_of_the_queries_is_misspelled_and_all_start_right(shop: Shop):
    queries = type_queries(shop.today(shop.days[2]), np.repeat(np.arange(100), 20))
    assert 0.09 < queries.is_misspelled.mean() < 0.15
    pairs = zip(queries.texts, queries.intended_texts, strict=True)
    assert all(text and text[0] == intended[0] for text, intended in pairs)


def test_what_is_typed_is_true_of_the_item_in_mind(shop: Shop):
    queries = type_queries(shop.today(shop.days[2]), np.arange(200))
    for text, target in zip(queries.intended_texts, queries.target, strict=True):
        assert set(text.split()) <= set(shop.world.items.titles[target].lower().split())


def test_people_search_for_what_they_like(shop: Shop):
    today = shop.today(shop.days[2])
    users = np.arange(200)
    queries = type_queries(today, users)
    all_wants = want(today, users[:, None], today.available_items[None, :])
    target_wants = want(today, users, queries.target)
    assert np.mean(target_wants > np.quantile(all_wants, 0.9, axis=1)) > 0.8


def test_labels_follow_from_what_was_typed(shop: Shop):
    items = shop.world.items
    queries = type_queries(shop.today(shop.days[2]), np.arange(200))
    rows = np.arange(200)
    assert set(grades(queries, rows, items, queries.target).tolist()) == {LABELS.index("exact")}
    with_noun = np.flatnonzero(queries.noun >= 0)[:, None]
    graded = grades(queries, with_noun, items, np.arange(len(items))[None, :])
    same_noun = queries.noun[with_noun] == items.noun
    same_category = queries.category[with_noun] == items.category
    assert np.all(same_noun[graded >= 2])
    assert np.all(same_category[graded >= 1])
    assert not same_category[graded == 0].any()


def test_searches_find_what_was_typed(shop: Shop):
    day = shop.days[2]
    queries = shop.queries(day)
    requests = blank(REQUEST, len(queries.texts))
    requests["user"] = queries.user
    requests["query"] = np.arange(len(requests))
    requests["surface"] = surface_code(Surface.SEARCH)
    found, _ = slates(shop.today(day), requests, queries, np.random.default_rng(0))
    graded = grades(queries, requests["query"][:, None], shop.world.items, found)
    anything = np.arange(len(shop.world.items))[None, :]
    by_chance = grades(queries, requests["query"][:, None], shop.world.items, anything)
    assert np.mean(graded >= 2) > 3 * np.mean(by_chance >= 2)
