from dataclasses import replace

import numpy as np
import pytest

from models.histories import user_batch_at
from models.retrieval import CountedRetriever, EaseRetriever, PopularityRetriever
from models.retrieval.config import CountedConfig, EaseConfig, PopularityConfig

CONFIG = CountedConfig(
    popularity_share=2.0, ease=EaseConfig(regularization=10.0, seen_weight=0.0, most_items=100)
)


@pytest.fixture
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)


def fit(planted, kind, config):
    train = planted.before(planted.cutoff)
    return kind.fit(train, planted.catalog, until=planted.cutoff, config=config)


def test_it_is_the_log_of_what_its_parts_add_up_to(planted, batch):
    scores = fit(planted, CountedRetriever, CONFIG).scores(batch)
    ease = fit(planted, EaseRetriever, CONFIG.ease).scores(batch)
    popularity = fit(planted, PopularityRetriever, PopularityConfig()).scores(batch)
    total = np.where(np.isfinite(ease), ease, 0.0) + 2.0 * popularity
    total += np.sqrt(batch.bought_BV.toarray())
    expected = np.sign(total) * np.log1p(np.abs(total))
    np.testing.assert_allclose(scores[:, 2:], expected[:, 2:], rtol=1e-4, atol=1e-6)


def test_a_catalog_that_is_too_large_goes_without_ease(planted, batch, caplog):
    small = replace(CONFIG, ease=replace(CONFIG.ease, most_items=10))
    with caplog.at_level("INFO"):
        model = fit(planted, CountedRetriever, small)
    assert "EASE is left out" in caplog.text
    popularity = fit(planted, PopularityRetriever, PopularityConfig()).scores(batch)
    total = 2.0 * popularity + np.sqrt(batch.bought_BV.toarray())
    np.testing.assert_allclose(model.scores(batch)[:, 2:], np.log1p(total[:, 2:]), rtol=1e-4)


def test_a_newcomer_gets_what_is_popular(planted, batch):
    nobody = batch.take(slice(0, 1))
    nobody = replace(
        nobody, bought_BV=nobody.bought_BV * 0, history_BT=np.zeros_like(nobody.history_BT)
    )
    nobody.bought_BV.eliminate_zeros()
    model = fit(planted, CountedRetriever, CONFIG)
    popularity = fit(planted, PopularityRetriever, PopularityConfig()).scores(nobody)
    np.testing.assert_allclose(
        model.scores(nobody)[:, 2:], np.log1p(2.0 * popularity[:, 2:]), rtol=1e-5
    )
