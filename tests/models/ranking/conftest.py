"""Tiny ranking lists with a known truth."""

import numpy as np
import pytest

from models.ranking.features import feature_names
from models.ranking.lists import RankingLists

SOURCES = ("popularity", "personal", "als", "sequence")


@pytest.fixture
def names() -> tuple[str, ...]:
    """The features of four sources."""
    return feature_names(SOURCES)


@pytest.fixture
def lists(names) -> RankingLists:
    """16 lists of 12 candidates; what is wanted stands in the history and has a high feature."""
    generator = np.random.default_rng(5)
    index_LC = np.stack([generator.choice(np.arange(2, 40), 12, replace=False) for _ in range(16)])
    index_LC = np.sort(index_LC, axis=1).astype(np.int32)
    index_LC[:, 10:] = 0  # two of padding
    features_LCF = generator.normal(size=(16, 12, len(names))).astype(np.float32)
    labels_LC = np.zeros((16, 12), dtype=np.float32)
    history_LT = np.zeros((16, 50), dtype=np.int32)
    for row in range(16):
        wanted = generator.choice(10, 2, replace=False)
        labels_LC[row, wanted] = 2.0
        history_LT[row, -4:-2] = index_LC[row, wanted]
        history_LT[row, -2:] = generator.choice(np.arange(40, 50), 2)
    features_LCF[..., 0] += 2.0 * (labels_LC > 0)
    return RankingLists(features_LCF, history_LT, index_LC, labels_LC)


@pytest.fixture
def text_VE() -> np.ndarray:
    """Unit text embeddings of 48 items; nothing for padding and unknown."""
    text = np.random.default_rng(6).normal(size=(50, 8)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    text[:2] = 0.0
    return text
