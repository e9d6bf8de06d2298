import numpy as np
import pytest

from domain.errors import BadInputError
from models.histories import user_batch_at
from models.retrieval import FitContext
from models.retrieval.config import ContentConfig
from models.retrieval.content import ContentRetriever


def text(planted):
    """Texts of one group are alike, and all texts are somewhat alike."""
    generator = np.random.default_rng(2)
    vectors = np.zeros((len(planted.catalog), 16), dtype=np.float32)
    vectors[np.arange(2, 42), np.arange(40) % 4] = 1.0
    vectors[2:] += 0.4 * generator.normal(size=(40, 16)) + 2.0
    return vectors


def fit(planted, examples):
    return ContentRetriever.fit(
        examples,
        planted.catalog,
        until=planted.cutoff,
        config=ContentConfig(),
        context=FitContext(text_VE=text(planted)),
    )


def test_items_that_nobody_took_are_found_far_more_often_than_by_chance(planted):
    cold = np.arange(12)
    names = [f"i{number:03d}" for number in cold]
    examples = planted.before(planted.cutoff)
    is_cold = np.isin(examples.column("item_id").to_numpy(zero_copy_only=False), names)
    users = user_batch_at(examples.filter(~is_cold), planted.catalog, until=planted.cutoff)
    scores = fit(planted, examples.filter(~is_cold)).scores(users)[:, cold + 2]
    best = np.argsort(-scores, axis=1)[:, :3]
    likes = np.array([int(name[1:]) % 4 for name in users.user_ids])
    recall = (best % 4 == likes[:, None]).mean()
    assert recall > 2 * 0.25


def test_what_all_texts_have_in_common_says_nothing(planted):
    model = fit(planted, planted.before(planted.cutoff))
    assert np.allclose(model.vectors_VE[2:].mean(axis=0), 0.0, atol=0.1)
    assert np.allclose(np.linalg.norm(model.vectors_VE[2:], axis=1), 1.0, atol=1e-5)
    assert not model.vectors_VE[:2].any()


def test_without_texts_it_is_refused(planted):
    with pytest.raises(BadInputError, match="texts"):
        ContentRetriever.fit(
            planted.before(planted.cutoff),
            planted.catalog,
            until=planted.cutoff,
            config=ContentConfig(),
        )
