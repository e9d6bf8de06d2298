"""Pairs of items, by hand."""

import math

import pytest
import torch

from models.language.losses import graded_pairs

SCORES = torch.tensor([[1.0, 0.0, -1.0, 9.0], [0.0, 2.0, 0.0, 0.0]])
LABELS = torch.tensor([[0.0, 3.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def softplus(x):
    return math.log1p(math.exp(x))


def test_a_pair_counts_as_much_as_its_labels_differ_and_a_list_as_any_other():
    # 3 above 0 by 3, 3 above 1 by 2, 1 above 0 by 1; of the second list one pair.
    first = (3 * softplus(1.0) + 2 * softplus(-1.0) + 1 * softplus(2.0)) / 6
    second = softplus(-2.0)
    loss = graded_pairs(SCORES, LABELS, mask_LC=MASK).item()
    assert loss == pytest.approx((first + second) / 2)


def test_padding_counts_nowhere_and_gets_no_gradient():
    scores = SCORES.clone().requires_grad_(True)
    loss = graded_pairs(scores, LABELS, mask_LC=MASK)
    loss.backward()
    assert not scores.grad[~MASK].any()
    assert scores.grad[MASK].all()
    other = torch.where(MASK, SCORES, -50.0)
    labels = torch.where(MASK, LABELS, 7.0)
    assert graded_pairs(other, labels, mask_LC=MASK).item() == loss.item()


def test_only_differences_of_scores_matter_and_the_right_order_costs_least():
    loss = graded_pairs(SCORES, LABELS, mask_LC=MASK)
    assert torch.isclose(graded_pairs(SCORES + 5, LABELS, mask_LC=MASK), loss)
    assert graded_pairs(LABELS * 9, LABELS, mask_LC=MASK) < 0.01
    assert graded_pairs(-LABELS, LABELS, mask_LC=MASK) > math.log(2)
    level = torch.zeros_like(SCORES)
    assert graded_pairs(level, LABELS, mask_LC=MASK).item() == pytest.approx(math.log(2))
