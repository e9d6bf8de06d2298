"""Labels, parts without a shared query, and gains by place."""

import math

import numpy as np
import pytest

from models.language.judged import (
    JudgedList,
    graded_ndcg,
    ndcg_of_lists,
    query_key,
    split_by_query,
)


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        (("a", "b"), (), "2 items, 0 labels"),
        (("a", "b"), (1.0,), "2 items, 1 labels"),
        ((), (), "0 items"),
        (("a",), (-1.0,), "at least 0"),
        (("a",), (math.nan,), "at least 0"),
    ],
)
def test_a_label_that_is_missing_or_no_label_is_an_error(texts, labels, said):
    with pytest.raises(ValueError, match=said):
        JudgedList("q", texts, labels)


def test_no_query_is_in_two_parts_in_any_form(lists):
    again = [
        JudgedList(
            " ".join(reversed(each.query_text.upper().split())), each.item_texts, each.labels
        )
        for each in lists
    ]
    shares = {"train": 0.6, "validation": 0.1, "test": 0.3}
    parts = split_by_query([*lists, *again], shares=shares, seed=3)
    keys = {name: {query_key(each.query_text) for each in part} for name, part in parts.items()}
    assert sum(map(len, parts.values())) == 120
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    assert all(len(part) == 2 * len(keys[name]) for name, part in parts.items())
    assert 0.4 < len(parts["train"]) / 120 < 0.8


def test_a_query_keeps_its_part_whatever_else_is_there(lists):
    shares = {"train": 0.5, "test": 0.5}
    everything = split_by_query(lists, shares=shares, seed=3)["test"]
    half = split_by_query(lists[::2], shares=shares, seed=3)["test"]
    assert half == [each for each in everything if each in lists[::2]]
    assert split_by_query(lists, shares=shares, seed=4)["test"] != everything
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_query(lists, shares={"train": 0.5}, seed=3)


def test_gain_by_place_by_hand():
    # Ranked 0, 3, 1 of 3, 1, 0: (3/log2(3) + 1/2) / (3 + 1/log2(3)).
    by_hand = (3 / math.log2(3) + 1 / 2) / (3 + 1 / math.log2(3))
    assert graded_ndcg(np.array([1.0, 2.0, 3.0]), [1, 3, 0], k=10) == pytest.approx(by_hand)
    assert graded_ndcg(np.array([1.0, 2.0, 3.0]), [1, 3, 0], k=1) == 0.0
    assert graded_ndcg(np.array([3.0, 2.0, 1.0]), [3, 1, 0], k=2) == 1.0


def test_who_says_nothing_gets_the_worst_order():
    nothing = graded_ndcg(np.zeros(4), [3, 0, 1, 2], k=10)
    assert nothing == graded_ndcg(np.array([0.0, 3.0, 2.0, 1.0]), [3, 0, 1, 2], k=10)
    assert nothing < graded_ndcg(np.array([1.0, 0.0, 0.0, 0.0]), [3, 0, 1, 2], k=10)


def test_scores_and_lists_that_cannot_be_judged_are_errors(lists):
    with pytest.raises(ValueError, match="finite score"):
        graded_ndcg(np.array([1.0, math.nan]), [1, 0], k=10)
    with pytest.raises(ValueError, match="1 scores, 2 labels"):
        graded_ndcg(np.array([1.0]), [1, 0], k=10)
    with pytest.raises(ValueError, match="no item has a positive gain"):
        graded_ndcg(np.array([1.0, 2.0]), [0, 0], k=10)
    alike = JudgedList("q", ("a", "b"), (1.0, 1.0))
    with pytest.raises(ValueError, match="says nothing"):
        ndcg_of_lists([np.zeros(2)], [alike], k=10)
    with pytest.raises(ValueError, match="zip"):
        ndcg_of_lists([], lists[:1], k=10)
