from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from domain.errors import BadInputError
from models.histories import user_batch_at
from models.retrieval.config import EaseConfig, NeighboursConfig, TransitionsConfig
from models.retrieval.item_item import (
    EaseRetriever,
    NeighboursRetriever,
    TransitionsRetriever,
    kept_per_column,
    taken,
)


def fit(kind, planted, config):
    train = planted.before(planted.cutoff)
    return kind.fit(train, planted.catalog, until=planted.cutoff, config=config)


@pytest.fixture
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)


def test_ease_is_the_least_squares_answer_without_a_diagonal(planted, batch):
    """Each column solved alone, as ridge regression on the other items."""
    config = EaseConfig(regularization=3.0, power=1.0, seen_weight=0.0, kept=1_000)
    weights = fit(EaseRetriever, planted, config).weights_VV.toarray()
    x = batch.bought_BV.toarray().astype(np.float64)
    for item in (2, 17, 41):
        others = [at for at in range(2, 42) if at != item]
        left = x[:, others].T @ x[:, others] + 3.0 * np.eye(len(others))
        expected = np.linalg.solve(left, x[:, others].T @ x[:, item])
        assert np.allclose(weights[others, item], expected, atol=1e-5)
        assert weights[item, item] == 0


def test_ease_refuses_a_catalog_it_cannot_hold(planted):
    with pytest.raises(BadInputError, match="40 items are more than most_items=39"):
        fit(EaseRetriever, planted, EaseConfig(most_items=39))


def test_neighbours_are_the_shrunk_cosine_of_their_users(planted, batch):
    config = NeighboursConfig(shrinkage=4.0, seen_weight=0.0, neighbours=1_000)
    weights = fit(NeighboursRetriever, planted, config).weights_VV.toarray()
    x = batch.bought_BV.toarray().astype(np.float64)
    together = int(((x[:, 2] > 0) & (x[:, 6] > 0)).sum())
    cosine = x[:, 2] @ x[:, 6] / np.linalg.norm(x[:, 2]) / np.linalg.norm(x[:, 6])
    assert together > 0
    assert weights[2, 6] == pytest.approx(cosine * together / (together + 4.0), rel=1e-5)
    assert weights.diagonal().max() == 0


def test_transitions_count_what_came_after_within_the_distance(planted):
    day = planted.cutoff.replace(day=1)
    rows = [("u", f"i00{item}", day.replace(day=1 + at)) for at, item in enumerate([0, 1, 2])]
    examples = planted.table(rows)
    config = TransitionsConfig(distance=2, decay=0.5, normalization=0.0)
    counted = TransitionsRetriever.fit(
        examples, planted.catalog, until=planted.until, config=config
    )
    pairs = {(0, 1): 1.0, (1, 2): 1.0, (0, 2): 0.5}
    expected = np.zeros((42, 42))
    for (before, after), weight in pairs.items():
        expected[2 + before, 2 + after] = weight
    assert np.array_equal(counted.weights_VV.toarray(), expected)
    down = replace(config, normalization=1.0)
    marked = TransitionsRetriever.fit(examples, planted.catalog, until=planted.until, config=down)
    assert marked.weights_VV.toarray().sum(axis=0)[2:5] == pytest.approx([0, 1, 1])


def test_later_interactions_speak_louder_in_transitions(planted):
    model = fit(TransitionsRetriever, planted, TransitionsConfig(history_decay=0.5))
    day = planted.cutoff.replace(day=1)
    orders = [["i000", "i001"], ["i001", "i000"]]
    scores = [
        model.scores(
            user_batch_at(
                planted.table([("u", i, day.replace(day=1 + n)) for n, i in enumerate(items)]),
                planted.catalog,
                until=planted.cutoff,
            )
        )
        for items in orders
    ]
    assert not np.array_equal(scores[0], scores[1])


def test_only_the_largest_weights_of_a_column_are_kept():
    full = np.array([[0.0, 5.0, 1.0], [3.0, 0.0, -2.0], [-4.0, 1.0, 0.0]])
    kept = kept_per_column(sparse.csc_matrix(full), 1).toarray()
    assert kept.tolist() == [[0, 5, 0], [0, 0, -2], [-4, 0, 0]]


def test_what_was_only_seen_counts_a_little_and_never_lessens_a_purchase(batch):
    lines = batch.bought_BV.tolil()
    lines[0] = 0.0
    mixed = replace(batch, bought_BV=lines.tocsr())
    x = taken(mixed, power=1.0, seen_weight=0.05)
    assert np.all(x.toarray() >= mixed.bought_BV.toarray())
    history_T = batch.history_BT[0]
    seen = np.unique(history_T[history_T > 1])
    assert x[0].data == pytest.approx([0.05] * len(seen), rel=1e-5)
