import numpy as np
import pytest
from scipy import sparse

from models.retrieval.config import FactorisationConfig
from models.retrieval.factorisation import factorised, solved

NOISE = 0.1


def planted_matrix(seed=1, rows=300, columns=200, rank=3, share=0.4):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(rows, rank)) @ generator.normal(size=(rank, columns))
    truth += generator.normal(size=(rows, 1)) + generator.normal(size=columns)
    noisy = truth + NOISE * generator.normal(size=truth.shape)
    is_seen = generator.random(truth.shape) < share
    return noisy, is_seen


def cells(values, is_seen):
    rows, columns = np.nonzero(is_seen)
    return sparse.csr_matrix((values[rows, columns], (rows, columns)), shape=values.shape)


def test_a_planted_low_rank_matrix_is_recovered_to_its_noise():
    noisy, is_seen = planted_matrix()
    mean = noisy[is_seen].mean()
    config = FactorisationConfig(factors=3, ridge=1e-4, iterations=30)
    users, user_bias, items, item_bias = factorised(cells(noisy - mean, is_seen), config)
    expected = users @ items.T + user_bias[:, None] + item_bias + mean
    held_out = np.sqrt(np.mean((expected - noisy)[~is_seen] ** 2))
    assert held_out <= 1.1 * NOISE
    # What predicts the mean alone is twenty times off: there was something to recover.
    assert noisy[~is_seen].std() > 15 * NOISE


def test_a_cell_that_was_not_seen_carries_no_squared_loss():
    """At the solution the gradient of the seen cells' loss is 0; that of all cells is not."""
    noisy, is_seen = planted_matrix(rows=30, columns=20, share=0.5)
    generator = np.random.default_rng(4)
    items, bias, ridge = generator.normal(size=(20, 3)), generator.normal(size=20), 0.1
    users, user_bias = solved(cells(noisy, is_seen), items, bias, ridge=ridge)
    error = noisy - users @ items.T - user_bias[:, None] - bias
    count = is_seen.sum(axis=1)
    of_seen = -(error * is_seen) @ items + ridge * count[:, None] * users
    of_all = -(np.where(is_seen, error, error - noisy)) @ items + ridge * 20 * users
    assert np.abs(of_seen).max() < 1e-8
    assert np.abs(of_all).max() > 1.0
    assert np.abs(-(error * is_seen).sum(axis=1) + ridge * count * user_bias).max() < 1e-8


def test_a_row_or_column_without_cells_moves_nobody():
    noisy, is_seen = planted_matrix(rows=30, columns=20)
    config = FactorisationConfig(factors=2, iterations=3)
    wide = np.pad(is_seen, ((0, 1), (0, 0)))
    more = np.pad(noisy, ((0, 1), (0, 0)), constant_values=1e6)
    alone = factorised(cells(noisy, is_seen), config)
    beside = factorised(cells(more, wide), config)
    assert np.allclose(beside[0][:-1], alone[0])
    assert np.allclose(beside[2], alone[2])
    assert not beside[0][-1].any()


def test_the_gradient_agrees_with_finite_differences():
    noisy, is_seen = planted_matrix(rows=5, columns=8, share=0.9)
    items, bias = np.random.default_rng(1).normal(size=(8, 2)), np.zeros(8)
    users, user_bias = solved(cells(noisy, is_seen), items, bias, ridge=0.1)

    def loss(row_users):
        error = (noisy - row_users @ items.T - user_bias[:, None]) * is_seen
        return (error**2).sum() + 0.1 * (is_seen.sum(axis=1) * (row_users**2).sum(axis=1)).sum()

    for row in range(5):
        step = np.zeros_like(users)
        step[row, 0] = 1e-5
        assert (loss(users + step) - loss(users - step)) / 2e-5 == pytest.approx(0.0, abs=1e-5)
