import math

import pytest
import torch

from models.ranking.losses import listwise_softmax, pointwise_logistic, ranking_loss

SCORES = torch.tensor([[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]])
LABELS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


def test_listwise_is_the_cross_entropy_of_the_one_list_that_has_a_label():
    assert float(listwise_softmax(SCORES, LABELS, mask_LC=MASK)) == pytest.approx(math.log(2))


def test_two_positives_share_the_label():
    loss = listwise_softmax(
        torch.zeros(1, 4), torch.tensor([[2.0, 2.0, 0.0, 0.0]]), mask_LC=torch.ones(1, 4).bool()
    )
    assert float(loss) == pytest.approx(math.log(4))


def test_pointwise_is_the_mean_over_real_candidates():
    labels = torch.tensor([[2.0, 0.0, 0.0]])
    loss = pointwise_logistic(
        torch.zeros(1, 3), labels, mask_LC=torch.tensor([[True, True, False]])
    )
    assert float(loss) == pytest.approx(math.log(2))


def test_padding_changes_neither_loss_nor_gradient():
    scores = SCORES.clone().requires_grad_()
    ranking_loss(scores, LABELS, mask_LC=MASK, pointwise_weight=0.5).backward()
    assert scores.grad[0, 2] == 0.0
    changed = SCORES.clone()
    changed[0, 2] = -50.0
    before = ranking_loss(SCORES, LABELS, mask_LC=MASK, pointwise_weight=0.5)
    assert ranking_loss(changed, LABELS, mask_LC=MASK, pointwise_weight=0.5) == before


def test_lists_without_any_label_give_zero_not_nan():
    loss = listwise_softmax(SCORES, torch.zeros(2, 3), mask_LC=MASK)
    assert float(loss) == 0.0
