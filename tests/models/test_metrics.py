import numpy as np
import pytest

from models.metrics import (
    catalog_coverage,
    hit_rate_at_k,
    mrr,
    ndcg_at_k,
    pessimistic_ranks,
    recall_at_k,
)


def test_a_perfect_list_scores_one_even_with_more_relevant_than_k():
    relevant = [{"a", "b", "c"}]
    for metric in (recall_at_k, ndcg_at_k, hit_rate_at_k, mrr):
        assert metric([["a", "b"]], relevant, k=2) == pytest.approx(1.0)


def test_ndcg_is_the_hand_worked_sum():
    # found at ranks 2 and 3, three relevant: (1/log2(3) + 1/log2(4)) / (1 + 1/log2(3) + 1/log2(4))
    gained = 1 / np.log2(3) + 1 / 2
    value = ndcg_at_k([["x", "a", "b", "y"]], [{"a", "b", "z"}], k=10)
    assert value == pytest.approx(gained / (1 + gained))


def test_users_with_nothing_relevant_are_left_out():
    assert recall_at_k([["a"], ["b"]], [{"a"}, set()], k=1) == 1.0
    with pytest.raises(ValueError, match="no user"):
        recall_at_k([["a"]], [set()], k=1)


@pytest.mark.parametrize("metric", [recall_at_k, ndcg_at_k, hit_rate_at_k, mrr])
def test_wrong_arguments_are_refused(metric):
    with pytest.raises(ValueError, match="k >= 1"):
        metric([["a"]], [{"a"}], k=0)
    with pytest.raises(ValueError, match="as many rankings"):
        metric([["a"]], [{"a"}, {"b"}], k=1)


def test_coverage_counts_only_the_first_k():
    assert catalog_coverage([["a", "b"]], {"a", "b"}, k=1) == 0.5


def test_a_model_that_scores_everything_alike_finds_nothing():
    scores = np.zeros((1, 30), dtype=np.float32)
    assert pessimistic_ranks(scores, np.array([0]), np.array([4]), k=10).tolist() == [0]


def test_ties_count_against_the_model():
    scores = np.array([[2.0, 2.0, 1.0]], dtype=np.float32)
    rows, columns = np.array([0, 0, 0]), np.array([0, 1, 2])
    assert pessimistic_ranks(scores, rows, columns, k=10).tolist() == [2, 2, 3]


def test_scores_that_are_not_numbers_are_refused():
    scores = np.array([[np.nan, 1.0]], dtype=np.float32)
    with pytest.raises(ValueError, match="NaN"):
        pessimistic_ranks(scores, np.array([0]), np.array([1]), k=1)


def test_fast_ranks_equal_the_definition():
    generator = np.random.default_rng(5)
    scores = generator.integers(0, 40, size=(20, 60)).astype(np.float32)
    rows, columns = np.repeat(np.arange(20), 5), generator.integers(0, 60, size=100)
    slow = [(scores[r] >= scores[r, c]).sum() for r, c in zip(rows, columns, strict=True)]
    expected = [rank if rank <= 10 else 0 for rank in slow]
    assert pessimistic_ranks(scores, rows, columns, k=10).tolist() == expected
