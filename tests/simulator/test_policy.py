import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from domain.events import Surface
from simulator.policy import (
    SLATE_SIZES,
    inclusion_probabilities,
    policy_weights,
    slates,
    systematic_sample,
)
from simulator.rows import REQUEST, blank, surface_code
from simulator.shop import Shop


def test_what_would_exceed_one_becomes_one_and_the_rest_share():
    # 3 of 4 with weights 6:2:1:1: first 1.8, .6, .3, .3. The first is certain, 2 are left for
    # 2:1:1.
    chance = inclusion_probabilities(np.array([[6.0, 2.0, 1.0, 1.0]]), size=3)
    np.testing.assert_allclose(chance, [[1.0, 1.0, 0.5, 0.5]])


def test_light_weights_are_only_scaled():
    chance = inclusion_probabilities(np.array([[2.0, 1.0, 1.0]]), size=1)
    np.testing.assert_allclose(chance, [[0.5, 0.25, 0.25]])


def test_a_slate_larger_than_the_shop_is_refused():
    with pytest.raises(ValueError, match="slate of 3 needs as many items, got 2"):
        inclusion_probabilities(np.ones((1, 2)), size=3)


def test_the_sample_has_exactly_the_given_probabilities():
    rng = np.random.default_rng(0)
    chance = inclusion_probabilities(rng.gamma(0.5, size=(1, 30)), size=5)
    draws = 20_000
    picked = systematic_sample(np.repeat(chance, draws, axis=0), rng, size=5)
    assert all(len(set(row)) == 5 for row in picked[:500].tolist())
    seen = np.bincount(picked.ravel(), minlength=30)
    sigma = np.sqrt(draws * chance[0] * (1 - chance[0])) + 1e-9
    assert np.max(np.abs(seen - draws * chance[0]) / sigma) < 4.5


@pytest.mark.parametrize("surface", list(Surface))
def test_a_request_answered_often_shows_items_as_often_as_their_propensity_says(
    shop: Shop, surface: Surface
):
    today = shop.today(shop.days[3])
    queries = shop.queries(shop.days[3])
    draws = 4_000
    requests = blank(REQUEST, draws)
    requests["user"] = 17
    requests["surface"] = surface_code(surface)
    requests["anchor"] = today.available_items[5]
    requests["query"] = 0
    items, propensity = slates(today, requests, queries, np.random.default_rng(5))
    assert items.shape == propensity.shape == (draws, SLATE_SIZES[surface])
    logged = np.zeros(len(shop.world.items))
    logged[items.ravel()] = propensity.ravel()
    seen = np.bincount(items.ravel(), minlength=len(logged))
    sigma = np.sqrt(draws * logged * (1 - logged)) + 1e-9
    assert np.max((np.abs(seen - draws * logged) / sigma)[logged > 0]) < 4.5


@pytest.mark.parametrize("surface", ["home", "search", "item_page", "cart"])
def test_logged_propensities_are_the_real_ones(shop: Shop, shown: pa.Table, surface: str):
    """R requests show an item with chance p: the sum of 1/p over its impressions is R in mean."""
    rows = shown.filter(pc.equal(shown["surface"], surface))
    requests = rows.group_by("day").aggregate([("request_id", "count_distinct")]).to_pydict()
    per_day = dict(zip(requests["day"], requests["request_id_count_distinct"], strict=True))
    items = shop.world.items
    expected = sum(per_day[day] * items.is_available(day).astype(np.float64) for day in per_day)
    rows_of = {name: row for row, name in enumerate(items.ids)}
    row = np.array([rows_of[name] for name in rows["item_id"].to_pylist()])
    propensity = rows["propensity"].to_numpy()
    total = np.bincount(row, 1 / propensity, minlength=len(items))
    # By category, where enough is shown: the variance is estimated from what was shown, and from
    # three impressions it comes out far too small.
    variance = np.bincount(row, (1 - propensity) / propensity**2, minlength=len(items))
    groups = items.category
    enough = np.bincount(groups[row], minlength=groups.max() + 1) >= 100
    miss = np.bincount(groups, total - expected)[enough]
    assert enough.any()
    assert np.abs(miss / np.sqrt(np.bincount(groups, variance)[enough])).max() < 4.5
    assert np.abs(np.sum(total - expected)) / np.sqrt(variance.sum()) < 4.0


def test_the_policy_explores_everything_and_prefers_something(shop: Shop):
    today = shop.today(shop.days[0])
    requests = blank(REQUEST, 50)
    requests["user"] = np.arange(50)
    requests["surface"] = surface_code(Surface.HOME)
    weights = policy_weights(today, requests, shop.queries(shop.days[0]))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights.min() >= shop.config.exploration / weights.shape[1]
    assert weights.max() > 5 / weights.shape[1]
