"""Every answer is compared with a brute force in float64, ties to the lower item_index."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from models import top_k
from models.rounded import multiplies_bytes
from models.top_k import VectorIndex, best_columns

needs_bytes = pytest.mark.skipif(
    not multiplies_bytes(64), reason="this CPU does not multiply int8 fast: no VNNI"
)
KINDS = [pytest.param(True, marks=needs_bytes), False]  # is_rounded


def brute_force(items, queries, *, k, allowed=None, excluded=None):
    """The ids and scores that are right, filled up with 0 and -inf."""
    ids = np.zeros((len(queries), min(k, len(items))), dtype=np.int64)
    scores = np.full(ids.shape, -np.inf, dtype=np.float32)
    for row, query in enumerate(queries):
        exact = (items.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
        may = np.ones(len(items), bool) if allowed is None else allowed.copy()
        if excluded is not None:
            may[excluded[row].nonzero()[1]] = False
        candidates = np.flatnonzero(may)
        order = candidates[np.argsort(-exact[candidates], kind="stable")][:k]
        ids[row, : len(order)] = order
        scores[row, : len(order)] = exact[order]
    return ids, scores


def assert_right(items, queries, *, k, kind=None, allowed=None, excluded=None):
    best = VectorIndex(items, is_rounded=kind).best(
        queries, k=k, allowed_V=allowed, excluded_BV=excluded
    )
    ids, scores = brute_force(items, queries, k=k, allowed=allowed, excluded=excluded)
    np.testing.assert_array_equal(best.item_index_BK, ids)
    np.testing.assert_array_equal(best.scores_BK, scores)
    assert best.item_index_BK.dtype == np.int64
    assert best.scores_BK.dtype == np.float32


def normal(rows, width, *, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 7, 60, 200, 5000])
def test_finds_what_a_brute_force_finds(kind, k):
    # 5000 / (16 · 16 · 8) = 2.4 and 5000 / (16 · 2 · 4) = 39: every size of blocks is gone through.
    assert_right(normal(5000, 24), normal(6, 24, seed=1), k=k, kind=kind)
    assert_right(normal(5000, 24), normal(1, 24, seed=2), k=k, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_many_queries_go_in_parts_and_many_items_in_chunks(kind):
    excluded = sparse.csr_matrix(np.random.default_rng(2).random((300, 9000)) < 0.01)
    assert_right(normal(9000, 8), normal(300, 8, seed=1), k=5, kind=kind, excluded=excluded)


@pytest.mark.parametrize("kind", KINDS)
def test_ties_go_to_the_lower_item_index(kind):
    rng = np.random.default_rng(0)
    items = rng.integers(-1, 2, (3000, 6)).astype(np.float32)
    queries = rng.integers(-2, 3, (9, 6)).astype(np.float32)
    assert_right(items, queries, k=40, kind=kind)
    assert_right(items, queries, k=2, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_items_that_are_all_the_same_are_answered_in_order(kind):
    items = np.repeat(normal(1, 5), 2500, axis=0)
    best = VectorIndex(items, is_rounded=kind).best(np.concatenate([items[:1], -items[:1]]), k=4)
    assert best.item_index_BK.tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_scores_closer_than_float32_can_tell_are_told_apart(kind):
    items = np.ones((2000, 3), dtype=np.float32)
    items[:, 1] = np.float32(2.0**-24) * np.arange(2000)  # 1 + 2^-24 is 1 in float32.
    queries = np.array([[1, 1, 0]], dtype=np.float32)
    best = VectorIndex(items, is_rounded=kind).best(queries, k=3)
    assert best.item_index_BK.tolist() == [[1999, 1998, 1997]]


@pytest.mark.parametrize("kind", KINDS)
def test_neither_denied_nor_seen_items_come(kind):
    items, queries = normal(4000, 12), normal(20, 12, seed=1)
    allowed = np.random.default_rng(2).random(4000) < 0.3
    best = VectorIndex(items).best(queries, k=30).item_index_BK
    rows = np.repeat(np.arange(20), 15)
    cells = (np.ones(300), (rows, best[:, ::2].ravel()))
    excluded = sparse.csr_matrix(cells, shape=(20, 4000))
    assert_right(items, queries, k=30, kind=kind, excluded=excluded)
    assert_right(items, queries, k=3, kind=kind, allowed=allowed, excluded=excluded)
    assert_right(items, queries, k=300, kind=kind, allowed=allowed)


def test_a_cell_that_holds_zero_excludes_nothing():
    items = np.eye(3, dtype=np.float32)
    excluded = sparse.csr_matrix(([0.0, 1.0], ([0, 0], [0, 1])), shape=(1, 3))
    best = VectorIndex(items).best(np.array([[3, 2, 1]], np.float32), k=2, excluded_BV=excluded)
    assert best.item_index_BK.tolist() == [[0, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_with_too_few_candidates_ends_with_padding(kind):
    items, queries = normal(3000, 4), normal(3, 4, seed=1)
    allowed = np.zeros(3000, dtype=bool)
    allowed[[5, 1700, 2999]] = True
    excluded = sparse.csr_matrix(([1], ([1], [1700])), shape=(3, 3000))
    assert_right(items, queries, k=5, kind=kind, allowed=allowed, excluded=excluded)
    nothing = VectorIndex(items, is_rounded=kind).best(queries, k=2, allowed_V=np.zeros(3000, bool))
    assert nothing.item_index_BK.tolist() == [[0, 0]] * 3
    assert np.isneginf(nothing.scores_BK).all()


@pytest.mark.parametrize("kind", KINDS)
def test_negative_scores_are_ranked_as_well(kind):
    items = np.abs(normal(3000, 10))
    assert_right(items, -np.abs(normal(4, 10, seed=1)), k=6, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_of_zeros_gets_the_first_items_it_may_have(kind):
    queries = normal(3, 7, seed=1)
    queries[1] = 0
    excluded = sparse.csr_matrix(([1, 1], ([1, 1], [0, 4])), shape=(3, 2000))
    allowed = np.ones(2000, dtype=bool)
    allowed[3] = False
    assert_right(normal(2000, 7), queries, k=4, kind=kind, allowed=allowed, excluded=excluded)
    assert_right(np.zeros((50, 7), np.float32), queries, k=4, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-6, 1e8, 1e17])
def test_any_scale_that_float32_holds(kind, scale):
    items, queries = normal(2500, 6), normal(4, 6, seed=1)
    items[::7] *= np.float32(1e-4)
    assert_right(items * np.float32(scale), queries, k=5, kind=kind)
    assert_right(items * np.float32(scale), queries * np.float32(scale), k=5, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_item_a_million_times_as_long_does_no_harm(kind):
    items = normal(4000, 8)
    items[1234] *= 1e6
    assert_right(items, normal(10, 8, seed=1), k=9, kind=kind)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch():
    index, queries = VectorIndex(normal(6000, 32)), normal(70, 32, seed=1)
    whole = index.best(queries, k=10)
    for row in (0, 33, 69):
        alone = index.best(queries[row], k=10)
        np.testing.assert_array_equal(alone.item_index_BK, whole.item_index_BK[row])
        np.testing.assert_array_equal(alone.scores_BK, whole.scores_BK[row])


@pytest.mark.parametrize("kind", KINDS)
def test_few_pairs_at_once_give_the_same(kind, monkeypatch):
    monkeypatch.setattr(top_k, "PAIRS_AT_ONCE", 200)
    monkeypatch.setattr(top_k, "FEW_PAIRS", 50)
    monkeypatch.setattr(top_k, "DOTS_AT_ONCE", 30)
    monkeypatch.setattr(top_k, "QUERIES_AT_ONCE", 7)
    assert_right(normal(3000, 9), normal(40, 9, seed=1), k=8, kind=kind)


@pytest.mark.parametrize("rows", [1, 6])
def test_items_closer_than_int8_can_tell_are_all_looked_at(rows):
    # Around two far centres, so that steps are long beside what tells items apart.
    items = normal(4000, 12) * np.float32(1e-3)
    items[::2] += 1
    assert_right(items, normal(rows, 12, seed=1), k=3)
    assert_right(items, normal(rows, 12, seed=1), k=3, kind=False)


def test_int8_is_refused_where_the_cpu_does_not_multiply_it(monkeypatch):
    monkeypatch.setattr(top_k, "multiplies_bytes", lambda width: False)
    with pytest.raises(ValueError, match="does not multiply int8"):
        VectorIndex(normal(30, 4), is_rounded=True)
    assert_right(normal(3000, 4), normal(2, 4, seed=1), k=3)


def test_torchs_own_lower_precision_does_no_harm():
    torch.set_float32_matmul_precision("medium")
    try:
        assert_right(normal(3000, 64), normal(40, 64, seed=1), k=8, kind=False)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_an_empty_batch_has_empty_answers():
    best = VectorIndex(normal(30, 4)).best(np.zeros((0, 4), np.float32), k=50)
    assert best.item_index_BK.shape == best.scores_BK.shape == (0, 30)


@st.composite
def asked(draw):
    """Whole numbers, so that every sum is exact in any order: 1e6² · 40 < 2^53."""
    size, width, rows = (
        draw(st.integers(1, 2600)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 9)),
    )
    most = draw(st.sampled_from([2, 5, 1_000_000]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items = rng.integers(-most, most + 1, (size, width)).astype(np.float32)
    queries = rng.integers(-most, most + 1, (rows, width)).astype(np.float32)
    allowed = rng.random(size) < draw(st.sampled_from([0.002, 0.5, 1.0]))
    excluded = sparse.csr_matrix(rng.random((rows, size)) < draw(st.sampled_from([0, 0.1])))
    return items, queries, allowed, excluded


@pytest.mark.parametrize("kind", KINDS)
@given(given_asked=asked(), k=st.integers(1, 300))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_shape_with_and_without_ties(kind, given_asked, k):
    items, queries, allowed, excluded = given_asked
    assert_right(items, queries, k=k, kind=kind, allowed=allowed, excluded=excluded)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e19])
def test_what_is_not_finite_or_too_long_is_refused(bad):
    items = normal(20, 4)
    index, query = VectorIndex(items), items[3].copy()
    items[7, 2] = query[1] = bad
    with pytest.raises(ValueError, match=r"item 7 is not finite or is longer than 1e\+18 \(1 of"):
        VectorIndex(items)
    with pytest.raises(ValueError, match="query 0 is not finite"):
        index.best(query, k=1)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 2, 2)])
def test_items_are_a_matrix_with_something_in_it(shape):
    with pytest.raises(ValueError, match=r"expected items \[V, E\], not empty"):
        VectorIndex(np.zeros(shape, np.float32))


def test_what_does_not_fit_is_refused():
    index, queries = VectorIndex(normal(20, 4)), normal(2, 4)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index.best(queries, k=0)
    with pytest.raises(ValueError, match=r"expected queries \[B, 4\], got \(2, 3\)"):
        index.best(queries[:, :3], k=1)
    with pytest.raises(ValueError, match=r"expected queries \[B, 4\], got \(1, 2, 4\)"):
        index.best(queries[None], k=1)
    with pytest.raises(ValueError, match=r"expected allowed_V \[20\], got \(19,\)"):
        index.best(queries, k=1, allowed_V=np.ones(19, bool))
    with pytest.raises(ValueError, match=r"expected excluded_BV \(2, 20\), got \(1, 20\)"):
        index.best(queries, k=1, excluded_BV=sparse.csr_matrix((1, 20)))


@given(st.lists(st.sampled_from([-np.inf, np.nan, -1.0, 0.0, -0.0, 2.0, 2.5]), max_size=40))
def test_best_columns_are_those_of_a_stable_sort(scores):
    scores = np.array(scores, dtype=np.float32)
    order = [column for column in np.argsort(-scores, kind="stable") if scores[column] > -np.inf]
    for k in (1, 3, 40):
        assert best_columns(scores, k=k).tolist() == order[:k]
        assert best_columns(scores.astype(np.float64), k=k).tolist() == order[:k]


def test_best_columns_of_many_scores():
    scores = np.random.default_rng(0).standard_normal(5000).round(2)  # 2 digits: many ties
    expected = np.argsort(-scores, kind="stable")
    assert best_columns(scores, k=200).tolist() == expected[:200].tolist()
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        best_columns(scores, k=0)
