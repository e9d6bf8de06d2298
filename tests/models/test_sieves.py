import numpy as np
import pytest
import torch

from models.rounded import BLOCK, TILE, Rounded, RoundedQueries, multiplies_bytes, shuffled
from models.sieves import (
    Hidden,
    Table,
    fine_scores,
    plain_scores,
    rounded_scores,
    span_items,
    sum_error,
    survivors,
)

needs_bytes = pytest.mark.skipif(
    not multiplies_bytes(64), reason="this CPU does not multiply int8 fast: no VNNI"
)
WAYS = [pytest.param("rounded", marks=needs_bytes), "plain"]


def lengths(rows):
    return np.linalg.norm(rows.astype(np.float64), axis=1).astype(np.float32)


def coarse_of(way, items, queries, hidden=None):
    table = Table.of(items, lengths(items), is_rounded=way == "rounded")
    asked = table, queries, lengths(queries), hidden
    return table, rounded_scores(*asked) if way == "rounded" else plain_scores(*asked, block=BLOCK)


def in_inner_products(coarse, items=32):
    """Maxima, and how far each can be off."""
    errors = np.repeat(coarse.error_SB(items), items // BLOCK, axis=0)
    values = coarse.maxima_GB.numpy() * coarse.unit_B + coarse.centre_B
    return values, errors * coarse.unit_B


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("centre", [0, 3])
@pytest.mark.parametrize(
    ("rows", "width"), [(1, 1), (1, 64), (3, 7), (17, 64), (40, 384), (200, 65)]
)
def test_no_score_is_off_by_more_than_its_bound(way, centre, rows, width):
    rng = np.random.default_rng(width)
    items = rng.standard_normal((3 * TILE, width), dtype=np.float32)
    items *= rng.lognormal(0, 2, (len(items) // BLOCK, 1)).astype(np.float32).repeat(BLOCK, axis=0)
    items += np.float32(centre)
    queries = rng.standard_normal((rows, width), dtype=np.float32)
    table, coarse = coarse_of(way, items, queries)
    exact = np.float64(items) @ np.float64(queries).T
    exact = exact.reshape(-1, BLOCK, rows).max(axis=1)
    values, bound = in_inner_products(coarse)
    assert (np.abs(values - exact) <= bound).all()
    # Nor is the bound so wide that it keeps everything: a few hundredths of the lengths at most.
    longest = table.norms_S[32].repeat(32 // BLOCK)[:, None]
    assert np.median(bound / (longest * lengths(queries))) < 1 / 50


@pytest.mark.parametrize("way", WAYS)
def test_a_maximum_is_that_of_its_block(way):
    items = np.arange(1, 2 * TILE + 1, dtype=np.float32)[:, None]
    _, coarse = coarse_of(way, items, np.ones((1, 1), dtype=np.float32))
    values, bound = in_inner_products(coarse)
    # Block 3 holds the items 48 … 63, with the values 49 … 64.
    assert values.shape == (2 * TILE // BLOCK, 1)
    assert (np.abs(values[:, 0] - np.arange(BLOCK, 2 * TILE + 1, BLOCK)) <= bound[:, 0]).all()
    assert bound.max() < BLOCK


@pytest.mark.parametrize("way", WAYS)
def test_what_is_hidden_is_no_maximum(way):
    items = np.ones((2 * TILE, 1), dtype=np.float32)
    items[[5, 1100, 2000]] = 9.0
    hidden = Hidden(np.array([5, *range(32, 48)]), np.array([2000, 1100]), np.array([0, 1]))
    _, coarse = coarse_of(way, items, np.ones((2, 1), dtype=np.float32), hidden)
    values, _ = in_inner_products(coarse)
    assert values[5 // 16].tolist() == pytest.approx([1.0, 1.0])
    assert values[32 // 16].tolist() == [-np.inf, -np.inf]
    assert values[1100 // 16].tolist() == pytest.approx([9.0, 1.0])
    assert values[2000 // 16].tolist() == pytest.approx([1.0, 9.0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [3, 16, 17, TILE + 33])
def test_what_stands_behind_the_last_item_is_no_maximum(way, size):
    items = -np.ones((size, 1), dtype=np.float32)
    _, coarse = coarse_of(way, items, np.ones((1, 1), dtype=np.float32))
    values, _ = in_inner_products(coarse)
    blocks = -(-size // BLOCK)
    assert values[:blocks, 0].tolist() == pytest.approx([-1.0] * blocks)
    assert np.isneginf(values[blocks:]).all()


@pytest.mark.parametrize("way", WAYS)
def test_few_blocks_survive_and_the_best_are_among_them(way):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((30_000, 64), dtype=np.float32)
    queries = rng.standard_normal((5, 64), dtype=np.float32)
    table, coarse = coarse_of(way, items, queries)
    found = survivors(table, coarse, k=10)
    exact = queries @ items.T
    assert found.is_settled_B.all()
    for row in range(5):
        blocks = set(found.block_P[found.query_P == row].tolist())
        best = np.argsort(-exact[row])[:10]
        assert set((best // BLOCK).tolist()) <= blocks
        assert len(blocks) <= 40
        assert found.floor_B[row] <= exact[row][best[-1]]
    assert (np.diff(found.query_P) >= 0).all()


def steps(rng, rows, width):
    """Whole numbers that int8 holds, each block with its largest."""
    values = rng.integers(-126, 127, (rows, width)).astype(np.float32)
    values[:: BLOCK if rows > 50 else 1, 0] = 127
    return values


@needs_bytes
@pytest.mark.parametrize("exact", ["items", "queries", "both"])
@pytest.mark.parametrize("width", [8, 1500])
def test_each_part_of_the_bound_is_needed(exact, width):
    rng = np.random.default_rng(0)
    items, queries = steps(rng, 2 * TILE, width), steps(rng, 20, width)
    items[::16] = 127
    items[1::16] = -127  # So that 0 is the middle, and the long sums are beyond float32's digits.
    items *= np.float32(0.1)
    queries *= np.float32(0.3)
    if exact == "items":
        queries += rng.uniform(-0.14, 0.14, queries.shape).astype(np.float32)
    elif exact == "queries":
        items += rng.uniform(-0.04, 0.04, items.shape).astype(np.float32)
    _, coarse = coarse_of("rounded", items, queries)
    exactly = (np.float64(items) @ np.float64(queries).T).reshape(-1, BLOCK, 20).max(axis=1)
    values, bound = in_inner_products(coarse)
    off = np.abs(values - exactly)
    assert (off <= bound).all()
    assert off.max() > 0


@needs_bytes
def test_of_a_query_that_rounding_leaves_open_nothing_is_said():
    items = np.ones((5000, 2), dtype=np.float32)
    items[:, 0] += np.arange(5000, dtype=np.float32) * 2.0**-20
    items[7] = 1000.0  # A block of its own steps, and a query that it alone answers to.
    queries = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    found = survivors(*coarse_of("rounded", items, queries), k=1)
    assert found.is_settled_B.tolist() == [True, False]
    assert set(found.query_P.tolist()) == {0}
    found = survivors(*coarse_of("plain", items, queries), k=1)
    assert found.is_settled_B.all()


@needs_bytes
def test_embeddings_to_one_side_of_0_are_rounded_as_well_as_others():
    rng = np.random.default_rng(0)
    items = torch.from_numpy(rng.standard_normal((TILE, 32), dtype=np.float32))
    here, there = Rounded.of(items, TILE), Rounded.of(items + 100, TILE)
    np.testing.assert_allclose(there.lost[32], here.lost[32], rtol=0.05)
    np.testing.assert_allclose(there.far[32], here.far[32], rtol=0.01)


def test_a_query_is_rounded_in_steps_of_its_own():
    queries = np.array([[1, -0.5, 0.004], [0, 2e-20, 0], [0, 0, 1e-44]], dtype=np.float32)
    rounded = RoundedQueries.of(queries)
    assert rounded.steps_EB.T.tolist() == [[127, -64, 1], [0, 127, 0], [0, 0, 0]]
    back = rounded.steps_EB.T.numpy() * rounded.unit_B[:, None]
    off = np.linalg.norm(back - queries, axis=1)
    np.testing.assert_allclose(rounded.lost_B * rounded.unit_B, off, rtol=1e-6)


def test_a_table_without_rounded_items_says_so():
    items = np.ones((3, 2), dtype=np.float32)
    table = Table.of(items, lengths(items), is_rounded=False)
    with pytest.raises(ValueError, match="without rounded items"):
        rounded_scores(table, items, lengths(items), None)


@pytest.mark.parametrize("width", [1, 2, 7, 64, 65, 384])
def test_a_cpu_is_believed_only_where_it_multiplies_exactly(width, monkeypatch):
    exact = torch._int_mm

    def saturating(one, other):
        return exact(one, other).clamp(-32768, 32767)

    multiplies_bytes.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    monkeypatch.setattr(torch, "_int_mm", saturating)
    assert multiplies_bytes(width) is (width < 3)  # 3 · 127² = 48,387
    multiplies_bytes.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert multiplies_bytes(width) is False
    multiplies_bytes.cache_clear()


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
