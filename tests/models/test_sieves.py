import numpy as np
import pytest
import torch

from models.sieves import (
    TILE,
    Hidden,
    Table,
    coarse_maxima,
    error_per_length,
    fine_scores,
    sizes,
    sum_error,
    survivors,
)


def table(items, kind):
    norms = np.linalg.norm(items.astype(np.float64), axis=1).astype(np.float32)
    return Table.of(items, norms, kind)


def rounded(queries, kind):
    return torch.from_numpy(queries).to(kind)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("rows", "width"), [(1, 1), (1, 64), (3, 7), (17, 64), (40, 384), (200, 65)]
)
def test_no_score_is_off_by_more_than_its_bound(kind, rows, width):
    rng = np.random.default_rng(width)
    items = rng.standard_normal((1500, width), dtype=np.float32)
    items *= rng.lognormal(0, 2, (1500, 1)).astype(np.float32)
    queries = rng.standard_normal((rows, width), dtype=np.float32)
    whole, coarse = table(items, kind), rounded(queries, kind)
    norms = np.linalg.norm(queries, axis=1)
    found = coarse_maxima(whole, coarse, None, block=1).numpy()
    if kind == torch.bfloat16:
        found = torch.from_numpy(found).view(kind).float().numpy()
    exact = np.float64(items) @ np.float64(queries).T
    exact = np.maximum(exact, 0) if kind == torch.bfloat16 else exact
    errors = np.abs(found[:1500] - exact)
    bound = whole.norms_W[:1500, None] * error_per_length(whole, queries, coarse, norms)
    assert (errors <= bound).all()
    # Nor is the bound so wide that it keeps everything: a hundredth of the lengths at most.
    assert (bound <= whole.norms_W[:1500, None] * norms / 80).all()


def test_a_block_is_spread_over_its_tile_and_a_maximum_is_that_of_its_items():
    items = np.arange(1, 2 * TILE + 1, dtype=np.float32)[:, None] / 64
    maxima = coarse_maxima(table(items, torch.float32), torch.ones(1, 1), None, block=16)
    # Block 3 holds 3, 3 + 64, … 3 + 15 · 64 = 963; its highest is item 963, of value 964 / 64.
    assert maxima.shape == (2 * TILE // 16, 1)
    assert maxima[3].item() == 964 / 64
    assert maxima[64 + 3].item() == (TILE + 964) / 64


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_what_is_hidden_is_no_maximum(kind):
    items = np.full((2 * TILE, 1), 1.0, dtype=np.float32)
    items[[5, 1100]] = 9.0
    hidden = Hidden(np.array([5]), np.array([1100]), np.array([1]))
    found = coarse_maxima(table(items, kind), torch.ones(2, 1, dtype=kind), hidden, block=16)
    values = found.view(kind).float()
    # 1100 = 1024 + 76 stands in the second tile's block 76 % 64 = 12.
    assert values[5].tolist() == [1.0, 1.0]
    assert values[64 + 12].tolist() == [9.0, 1.0]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_few_blocks_survive_and_the_best_are_among_them(kind):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((20_000, 64), dtype=np.float32)
    queries = rng.standard_normal((5, 64), dtype=np.float32)
    norms = np.linalg.norm(queries, axis=1)
    found = survivors(table(items, kind), queries, norms, None, k=10)
    exact = queries @ items.T
    for row in range(5):
        survived = set(found.item_PJ[found.query_P == row].ravel().tolist())
        best = np.argsort(-exact[row])[:10]
        assert set(best.tolist()) <= survived
        assert len(survived) <= 40 * 16
        assert found.floor_B[row] <= exact[row][best[-1]]
    assert (np.diff(found.query_P) >= 0).all()


def test_of_only_negative_scores_bfloat16_knows_nothing():
    items = np.ones((3000, 2), dtype=np.float32)
    queries = np.array([[-1, -1], [1, 1]], dtype=np.float32)
    norms = np.full(2, 1.5, dtype=np.float32)
    found = survivors(table(items, torch.bfloat16), queries, norms, None, k=2)
    assert found.is_settled_B.tolist() == [False, True]
    assert set(found.query_P.tolist()) == {1}
    found = survivors(table(items, torch.float32), queries, norms, None, k=2)
    assert found.is_settled_B.all()


def test_fine_scores_are_within_the_bound_of_a_sum():
    rng = np.random.default_rng(0)
    items = rng.standard_normal((300, 100), dtype=np.float32)
    queries = rng.standard_normal((4, 100), dtype=np.float32)
    query_N = np.array([0, 0, 2, 2, 2, 3])
    item_N = np.array([7, 3, 299, 0, 0, 150])
    scores = fine_scores(torch.from_numpy(items), queries, query_N, item_N)
    exact = (np.float64(items[item_N]) * np.float64(queries[query_N])).sum(axis=1)
    lengths = np.linalg.norm(items[item_N], axis=1) * np.linalg.norm(queries[query_N], axis=1)
    assert (np.abs(scores - exact) <= lengths * sum_error(100)).all()
    assert sum_error(100) < 2e-5


def test_blocks_shrink_where_k_is_a_large_part_of_the_catalog():
    assert sizes(100_000, 10) == (16, 8)
    assert sizes(100_000, 97) == (16, 8)  # 97 · 8 · 128 = 99,328
    assert sizes(100_000, 98) == (16, 1)
    assert sizes(100_000, 1563) == (1, 1)  # 1563 · 4 · 16 = 100,032
