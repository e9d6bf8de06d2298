"""Probabilities that sum to one and mean what they say."""

from datetime import timedelta

import numpy as np
import pytest

from models.histories import user_batch_at
from models.metrics import calibration_error
from models.retrieval.bayes import BayesRetriever
from models.retrieval.config import BayesConfig
from tests.models.conftest import FIRST_DAY, PlantedShop

USERS, DAYS = 1_200, 8


def shop(planted, *, seed, faith):
    """Each user takes an item a day, of the own group with probability ``faith``."""
    generator = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        for day in range(DAYS):
            group = user % 4 if generator.random() < faith else int(generator.integers(4))
            item = int(generator.integers(10)) * 4 + group
            rows.append((f"u{user:04d}", f"i{item:03d}", FIRST_DAY + timedelta(days=day)))
    return PlantedShop.table(rows)


def foretold(planted, examples):
    """P(group of the last day's item) of each user and group, and whether it was that group."""
    until = FIRST_DAY + timedelta(days=DAYS - 1)
    before = examples.filter(np.array(examples.column("event_date").to_pylist()) < until)
    model = BayesRetriever.fit(before, planted.catalog, until=until, config=BayesConfig())
    users = user_batch_at(before, planted.catalog, until=until)
    share = np.exp(model.scores(users))
    last = dict(
        row
        for row in zip(
            examples.column("user_id").to_pylist(), examples.column("item_id").to_pylist(),
            strict=True,
        )
    )  # fmt: skip
    groups = np.stack([share[:, 2 + group :: 4].sum(axis=1) for group in range(4)], axis=1)
    came = np.array([int(last[name][1:]) % 4 for name in users.user_ids])
    return groups, came[:, None] == np.arange(4), share


@pytest.mark.parametrize("faith", [0.0, 0.5, 0.9])
def test_what_it_says_comes_about_as_often_as_it_says(planted, faith):
    groups, came, _ = foretold(planted, shop(planted, seed=3, faith=faith))
    assert calibration_error(groups.ravel(), came.ravel()) < 0.02 + 1.5 / np.sqrt(USERS)
    said = groups[came].mean()
    # With a faith the own group is foretold; without one nobody's is.
    assert said > 0.24 + 0.2 * faith


def test_probabilities_sum_to_one_over_the_items(planted):
    _, _, share = foretold(planted, shop(planted, seed=4, faith=0.7))
    assert np.allclose(share.sum(axis=1), 1.0, atol=1e-4)
    assert not share[:, :2].any()


def test_without_the_denominator_they_would_not(planted):
    """The text's P(u | r) P(r) orders items as P(r | u) does, and sums to anything."""
    examples = shop(planted, seed=4, faith=0.7)
    until = FIRST_DAY + timedelta(days=DAYS)
    model = BayesRetriever.fit(examples, planted.catalog, until=until, config=BayesConfig())
    users = user_batch_at(examples, planted.catalog, until=until)
    joint = np.exp(model.prior_V + model.strength * model._evidence(users))
    assert not np.allclose(joint.sum(axis=1), 1.0, atol=0.05)
    assert np.array_equal(joint[:, 2:].argmax(axis=1), model.scores(users)[:, 2:].argmax(axis=1))


def test_who_took_nothing_gets_the_popularity_of_items(planted):
    examples = shop(planted, seed=5, faith=0.7)
    until = FIRST_DAY + timedelta(days=DAYS)
    model = BayesRetriever.fit(examples, planted.catalog, until=until, config=BayesConfig())
    nobody = user_batch_at(examples, planted.catalog, until=until, user_ids=["nobody"])
    assert np.allclose(model.scores(nobody)[0, 2:], model.prior_V[2:], atol=1e-5)
