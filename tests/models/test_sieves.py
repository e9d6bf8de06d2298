import numpy as np
import pytest
import torch

from models.sieves import (
    BLOCK,
    TILE,
    Hidden,
    Table,
    fine_scores,
    plain_scores,
    rounded_scores,
    shuffled,
    span_items,
    sum_error,
    survivors,
)

WAYS = ["rounded", "plain"]


def lengths(rows):
    return np.linalg.norm(rows.astype(np.float64), axis=1).astype(np.float32)


def coarse_of(way, items, queries, hidden=None):
    table = Table.of(items, lengths(items), is_rounded=way == "rounded")
    asked = table, queries, lengths(queries), hidden
    return table, rounded_scores(*asked) if way == "rounded" else plain_scores(*asked, block=BLOCK)


def values(coarse):
    """Maxima as numbers; a bfloat16 that is not positive as 0."""
    if not coarse.is_signless:
        return coarse.maxima_GB.numpy()
    return coarse.maxima_GB.clamp(min=0).view(torch.bfloat16).float().numpy()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("rows", "width"), [(1, 1), (1, 64), (3, 7), (17, 64), (40, 384), (200, 65)]
)
def test_no_score_is_off_by_more_than_its_bound(way, rows, width):
    rng = np.random.default_rng(width)
    # One item a block, so that its maximum is that item's score.
    items = np.zeros((100 * BLOCK, width), dtype=np.float32)
    items[::BLOCK] = rng.standard_normal((100, width), dtype=np.float32)
    items[::BLOCK] *= rng.lognormal(0, 2, (100, 1)).astype(np.float32)
    queries = rng.standard_normal((rows, width), dtype=np.float32)
    table, coarse = coarse_of(way, items, queries)
    exact = np.maximum(np.float64(items[::BLOCK]) @ np.float64(queries).T, 0)
    errors = np.abs(values(coarse)[:100] - exact)
    bound = table.norms_G[:100, None] * coarse.error_B + coarse.relative * exact * 1.01
    assert (errors <= bound).all()
    # Nor is the bound so wide that it keeps everything: a hundredth of the lengths at most.
    assert (bound <= table.norms_G[:100, None] * lengths(queries) / 80).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_maximum_is_that_of_its_block(way):
    items = np.arange(1, 2 * TILE + 1, dtype=np.float32)[:, None]
    _, coarse = coarse_of(way, items, np.ones((1, 1), dtype=np.float32))
    maxima = values(coarse)[:, 0]
    # Block 3 holds the items 48 … 63, with the values 49 … 64; all that bfloat16 can say.
    assert maxima[3] == 64
    assert maxima[64] == 1024 + 16  # 1040 = 8.125 · 128, seven binary places
    assert maxima.shape == (2 * TILE // BLOCK,)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_hidden_is_no_maximum(way):
    items = np.ones((2 * TILE, 1), dtype=np.float32)
    items[[5, 1100, 2000]] = 9.0
    hidden = Hidden(np.array([5]), np.array([2000, 1100]), np.array([0, 1]))
    _, coarse = coarse_of(way, items, np.ones((2, 1), dtype=np.float32), hidden)
    maxima = values(coarse)
    assert maxima[5 // 16].tolist() == [1.0, 1.0]
    assert maxima[1100 // 16].tolist() == [9.0, 1.0]
    assert maxima[2000 // 16].tolist() == [1.0, 9.0]


def test_what_stands_behind_the_last_item_is_no_maximum():
    items = -np.ones((3, 1), dtype=np.float32)
    _, coarse = coarse_of("plain", items, np.ones((1, 1), dtype=np.float32))
    assert values(coarse)[:2, 0].tolist() == [-1.0, -np.inf]


@pytest.mark.parametrize("way", WAYS)
def test_few_blocks_survive_and_the_best_are_among_them(way):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((30_000, 64), dtype=np.float32)
    queries = rng.standard_normal((5, 64), dtype=np.float32)
    table, coarse = coarse_of(way, items, queries)
    found = survivors(table, coarse, k=10)
    exact = queries @ items.T
    for row in range(5):
        blocks = set(found.block_P[found.query_P == row].tolist())
        best = np.argsort(-exact[row])[:10]
        assert set((best // BLOCK).tolist()) <= blocks
        assert len(blocks) <= 40
        assert found.floor_B[row] <= exact[row][best[-1]]
    assert (np.diff(found.query_P) >= 0).all()


def test_of_scores_that_are_all_negative_bfloat16_knows_nothing():
    items = np.ones((3000, 2), dtype=np.float32)
    queries = np.array([[-1, -1], [1, 1]], dtype=np.float32)
    found = survivors(*coarse_of("rounded", items, queries), k=2)
    assert found.is_settled_B.tolist() == [False, True]
    assert set(found.query_P.tolist()) == {1}
    found = survivors(*coarse_of("plain", items, queries), k=2)
    assert found.is_settled_B.all()
    assert set(found.query_P.tolist()) == {0, 1}


def test_a_table_without_rounded_items_says_so():
    items = np.ones((3, 2), dtype=np.float32)
    table = Table.of(items, lengths(items), is_rounded=False)
    with pytest.raises(ValueError, match="without rounded items"):
        rounded_scores(table, items, lengths(items), None)


def test_fine_scores_are_within_the_bound_of_a_sum():
    rng = np.random.default_rng(0)
    items = rng.standard_normal((300, 100), dtype=np.float32)
    queries = rng.standard_normal((4, 100), dtype=np.float32)
    query_P = np.array([0, 2, 2, 3])
    item_PJ = np.array([[7, 3], [299, 0], [0, 1], [150, 7]])
    scores_PJ = fine_scores(torch.from_numpy(items), queries, query_P, item_PJ)
    exact = (np.float64(items[item_PJ]) * np.float64(queries[query_P])[:, None]).sum(axis=2)
    both = lengths(items)[item_PJ] * lengths(queries)[query_P, None]
    assert (np.abs(scores_PJ - exact) <= both * sum_error(100)).all()
    assert sum_error(100) < 2e-5


def test_shuffled_items_are_all_there():
    rows = shuffled(np.arange(3 * TILE))
    assert sorted(rows.tolist()) == list(range(3 * TILE))
    assert (rows // TILE == np.arange(3 * TILE) // TILE).all()


def test_spans_shrink_where_k_is_a_large_part_of_the_catalog():
    assert span_items(100_000, 48) == 256  # 48 · 8 · 256 = 98,304
    assert span_items(100_000, 49) == 32
    assert span_items(100_000, 781) == 32  # 781 · 4 · 32 = 99,968
    assert span_items(100_000, 782) == 1
