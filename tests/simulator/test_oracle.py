from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from simulator.config import PRESETS
from simulator.oracle import Oracle
from simulator.shop import Shop

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
EXPONENT = PRESETS["debug"].position_exponent


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def expected_clicks(oracle: Oracle, shop: Shop, rows: pa.Table, *, is_search: bool) -> np.ndarray:
    """The planted probability of each impression, examined: in the rows' order."""
    chance = np.zeros(len(rows))
    for day in shop.days:
        here = np.flatnonzero(pc.equal(rows["day"], pa.scalar(day)).to_numpy())
        part = rows.take(pa.array(here))
        names = part["request_id" if is_search else "user_id"].to_pylist()
        items = part["item_id"].to_pylist()
        if is_search:
            chance[here] = oracle.search_probability(day, names, items)
        else:
            chance[here] = oracle.probability(names, items, noon(day))
    return chance


def worst_bin(clicked: np.ndarray, chance: np.ndarray, *, bins: int) -> float:
    """The largest gap between clicks and their expectation over bins of chance, in sigmas.

    Each bin expects as many clicks as the others. Bins of as many *rows* would not do: the lowest
    expect a tenth of a click, where one click is ten sigmas and the normal law says nothing.
    """
    order = np.argsort(chance)
    so_far = np.cumsum(chance[order])
    places = np.searchsorted(so_far, so_far[-1] * np.arange(1, bins) / bins)
    gaps = []
    for part in np.split(order, places):
        expected = chance[part].sum()
        assert expected > 20
        sigma = np.sqrt(np.sum(chance[part] * (1 - chance[part])))
        gaps.append(abs(clicked[part].sum() - expected) / sigma)
    return max(gaps)


@pytest.mark.parametrize("is_search", [False, True])
def test_the_oracle_is_calibrated_against_the_clicks(
    shop: Shop, oracle: Oracle, shown: pa.Table, is_search: bool
):
    people = shown.filter(pc.invert(shown["is_bot"]))
    on_search = pc.equal(people["surface"], "search")
    rows = people.filter(on_search if is_search else pc.invert(on_search))
    looked_at = rows["position"].to_numpy().astype(float) ** -EXPONENT
    chance = expected_clicks(oracle, shop, rows, is_search=is_search)
    clicked = rows["is_clicked"].to_numpy(zero_copy_only=False)
    assert len(rows) > 3_000
    assert worst_bin(clicked, looked_at * chance, bins=8) < 4.0
    # The same limit refuses a wrong oracle: one that takes every position for the first.
    assert worst_bin(clicked, chance, bins=8) > 4.0


def test_purchase_probabilities_are_calibrated_against_the_purchases(
    shop: Shop, oracle: Oracle, shown: pa.Table, log: pa.Table
):
    rows = shown.filter(pc.equal(shown["surface"], "home"))
    looked_at = np.where(
        rows["is_bot"].to_numpy(zero_copy_only=False),
        1.0,
        rows["position"].to_numpy().astype(float) ** -EXPONENT,
    )
    chance = np.zeros(len(rows))
    for day in shop.days:
        here = np.flatnonzero(pc.equal(rows["day"], pa.scalar(day)).to_numpy())
        part = rows.take(pa.array(here))
        users, items = part["user_id"].to_pylist(), part["item_id"].to_pylist()
        chance[here] = oracle.purchase_probability(users, items, noon(day))
    bought = log.filter(pc.equal(log["event_type"], "purchase"))
    keys = ("request_id", "item_id")
    pairs = set(zip(*(bought[name].to_pylist() for name in keys), strict=True))
    shown_pairs = zip(*(rows[name].to_pylist() for name in keys), strict=True)
    is_bought = np.array([pair in pairs for pair in shown_pairs])
    # An item put twice into one cart is decided on once: a little less than expected is right.
    assert worst_bin(is_bought, looked_at * chance, bins=3) < 4.0


def test_bots_click_whatever_they_are_shown(shop: Shop, oracle: Oracle):
    bot = str(shop.world.users.ids[shop.world.users.is_bot][0])
    items = shop.items(shop.days[0])["item_id"].to_pylist()[:20]
    np.testing.assert_allclose(oracle.probability([bot] * 20, items, NOON), 0.4)
    np.testing.assert_allclose(oracle.purchase_probability([bot] * 20, items, NOON), 0.0)


def test_the_ranking_is_the_available_items_by_probability(shop: Shop, oracle: Oracle):
    user = "u000011"
    ranked = oracle.ranking(user, NOON, 10_000)
    available = shop.world.items.ids[shop.world.items.is_available(NOON.date())]
    assert sorted(ranked) == sorted(available)
    chance = oracle.probability([user] * len(ranked), ranked, NOON)
    assert (np.diff(chance) <= 0).all()
    assert oracle.ranking(user, NOON, 5) == ranked[:5]


def test_a_user_who_needs_a_habit_clicks_it_more_surely_than_between_times(
    shop: Shop, oracle: Oracle
):
    day = next(day for day in shop.days if oracle.trips(day))
    user, item = sorted(oracle.trips(day))[0]
    between = day + timedelta(days=3)
    due = oracle.probability([user], [item], noon(day))
    otherwise = oracle.probability([user], [item], noon(between))
    # exp(2) = 7.4 times the odds; season and sale move a little within three days.
    assert due / (1 - due) > 4 * otherwise / (1 - otherwise)


def test_a_search_has_labels_and_fits_raise_the_probability(shop: Shop, oracle: Oracle):
    day = shop.days[4]
    searches = shop.events(day).filter(pc.field("event_type") == "search")
    bots = pa.array(shop.world.users.ids[shop.world.users.is_bot], pa.string())
    searches = searches.filter(pc.invert(pc.is_in(searches["user_id"], bots)))
    request = searches["request_id"][0].as_py()
    items = shop.items(day)["item_id"].to_pylist()
    labels = oracle.search_labels(day, [request] * len(items), items)
    assert "exact" in labels
    assert "irrelevant" in labels
    user = searches["user_id"][0].as_py()
    after_search = oracle.search_probability(day, [request] * len(items), items)
    anyway = oracle.probability([user] * len(items), items, noon(day))
    is_exact = np.array(labels) == "exact"
    assert (after_search[is_exact] > anyway[is_exact]).all()
    is_irrelevant = np.array(labels) == "irrelevant"
    assert (after_search[is_irrelevant] < anyway[is_irrelevant]).all()


def test_what_cannot_be_answered_is_refused(oracle: Oracle, shop: Shop):
    with pytest.raises(ValueError, match="unknown user: 'nobody'"):
        oracle.probability(["nobody"], ["i000001"], NOON)
    with pytest.raises(ValueError, match="unknown item: 'nothing'"):
        oracle.probability(["u000001"], ["nothing"], NOON)
    with pytest.raises(ValueError, match="got 2 users, 1 items"):
        oracle.probability(["u000001", "u000002"], ["i000001"], NOON)
    with pytest.raises(ValueError, match="needs a timezone"):
        oracle.probability(["u000001"], ["i000001"], NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="unknown search of 2026-02-16"):
        oracle.search_labels(shop.days[0], ["r-1"], ["i000001"])
    with pytest.raises(ValueError, match="k must be at least 1"):
        oracle.ranking("u000001", NOON, 0)
