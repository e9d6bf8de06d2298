from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.compute as pc

from simulator.config import PRESETS
from simulator.shop import Shop
from simulator.users import HONEYMOON_DAYS, make_users
from simulator.vocabulary import CATEGORIES, SEGMENT_CATEGORIES, SEGMENTS


def test_new_users_sign_up_on_the_days_of_the_shop(shop: Shop):
    first, last = shop.users(shop.days[0]), shop.users(shop.days[-1])
    assert len(last) == shop.config.user_count
    assert len(first) < len(last)
    assert pc.max(last["signup_date"]).as_py() > shop.days[0]
    assert pc.max(first["signup_date"]).as_py() <= shop.days[0]


def test_segments_lean_to_their_categories():
    users = make_users(replace(PRESETS["debug"], user_count=3_000), seed=1)
    names = [shelf.name for shelf in CATEGORIES]
    for code in range(len(SEGMENTS)):
        favored = [names.index(name) for name in SEGMENT_CATEGORIES[code]]
        taste = users.category_taste_US[users.segment == code].mean(axis=0)
        others = np.delete(taste, favored)
        assert taste[favored].min() > others.max()


def test_the_policys_guess_is_right_in_tendency_and_wrong_in_detail():
    users = make_users(replace(PRESETS["debug"], user_count=2_000), seed=1)
    tendency = np.corrcoef(users.guess_US.ravel(), users.category_taste_US.ravel())[0, 1]
    assert 0.6 < tendency < 0.9


def test_users_come_more_often_at_first_and_never_before_they_signed_up(shop: Shop):
    users = shop.world.users
    newest = int(np.flatnonzero(users.signup_day <= shop.days[-1].toordinal())[-1])
    signup = shop.days[-1] - timedelta(
        days=shop.days[-1].toordinal() - int(users.signup_day[newest])
    )
    assert users.eagerness(signup - timedelta(days=1))[newest] == 0.0
    later = users.eagerness(signup + timedelta(days=HONEYMOON_DAYS))[newest]
    np.testing.assert_allclose(users.eagerness(signup)[newest], 3.0 * later)


def test_the_chosen_share_are_bots_and_none_if_none_is_wanted():
    config = replace(PRESETS["debug"], user_count=1_000, bot_share=0.05)
    assert 35 <= make_users(config, seed=3).is_bot[:1_000].sum() <= 65
    assert not make_users(replace(config, bot_share=0.0), seed=3).is_bot.any()
