from datetime import timedelta

import numpy as np
import pytest

from domain.errors import BadInputError
from models.histories import user_batch_at
from models.retrieval import RETRIEVERS
from models.retrieval.config import PopularityConfig
from models.retrieval.popularity import PopularityRetriever


@pytest.fixture
def shop(planted):
    day = planted.cutoff
    rows = [("u1", "i000", day - timedelta(days=8))] * 5
    rows += [("u1", "i001", day - timedelta(days=7)), ("u2", "i001", day - timedelta(days=1))]
    rows += [("u2", "i002", day - timedelta(days=1))]
    return planted.table(rows)


def fitted(planted, shop, **config):
    return PopularityRetriever.fit(
        shop, planted.catalog, until=planted.cutoff, config=PopularityConfig(**config)
    )


def test_the_window_is_the_seven_days_before_the_cutoff(planted, shop):
    scores = fitted(planted, shop).popularity_V
    assert np.argsort(-scores)[:3].tolist() == [3, 4, 2]
    assert scores[3] / scores[4] == pytest.approx(2, rel=1e-3)


def test_with_a_half_life_recent_purchases_count_more(planted, shop):
    scores = fitted(planted, shop, half_life_days=1.0).popularity_V
    # i001: 0.5**7 + 0.5**1, i002: 0.5**1
    assert scores[3] / scores[4] == pytest.approx(1 + 0.5**6, rel=1e-3)


def test_everybody_gets_the_same_list_and_no_padding(planted, shop):
    batch = user_batch_at(shop, planted.catalog, until=planted.cutoff, user_ids=["u1", "new"])
    scores = fitted(planted, shop).scores(batch)
    assert scores.shape == (2, 42)
    assert np.array_equal(scores[0], scores[1])
    assert np.isneginf(scores[:, :2]).all()
    assert np.isfinite(scores[:, 2:]).all()


def test_examples_from_the_future_are_refused(planted, shop):
    with pytest.raises(BadInputError):
        PopularityRetriever.fit(
            shop,
            planted.catalog,
            until=planted.cutoff - timedelta(days=1),
            config=PopularityConfig(),
        )


def test_the_registry_knows_every_retriever_by_its_name():
    assert list(RETRIEVERS)[:3] == ["popularity", "personal", "als"]
    assert all(kind.name == name for name, kind in RETRIEVERS.items())
