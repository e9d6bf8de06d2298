import math

import pytest
import torch

from models.ranking.losses import (
    distillation,
    listwise_softmax,
    pointwise_logistic,
    ranking_loss,
)

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


def test_distillation_is_zero_for_equal_scores_and_grows_with_the_distance():
    teacher = torch.tensor([[3.0, -1.0, 0.5, 9.0], [0.0, 2.0, 7.0, 7.0]])
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    given = {"mask_LC": mask, "pointwise_weight": 0.2}
    assert float(distillation(teacher, teacher, **given)) == pytest.approx(0.0, abs=1e-7)
    near, far = (float(distillation(teacher * by, teacher, **given)) for by in (0.9, 0.3))
    assert 0.0 < near < far


def test_distillation_is_the_divergence_of_two_softmaxes():
    scores, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    # The teacher says 3/4 and 1/4, the student 1/2 and 1/2.
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    loss = distillation(scores, teacher, mask_LC=mask, pointwise_weight=0.0)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_the_level_is_taught_too():
    teacher = torch.tensor([[1.0, 2.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    # The same order and the same softmax, three higher everywhere.
    loss = distillation(teacher + 3.0, teacher, mask_LC=mask, pointwise_weight=1.0)
    chances = [1 / (1 + math.exp(-x)) for x in (1.0, 2.0)]
    told = [1 / (1 + math.exp(-x - 3.0)) for x in (1.0, 2.0)]
    divergences = [
        p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        for p, q in zip(chances, told, strict=True)
    ]
    assert float(loss) == pytest.approx(sum(divergences) / 2, rel=1e-5)


def test_padding_teaches_nothing():
    scores = torch.tensor([[1.0, 0.0, 5.0]], requires_grad=True)
    teacher = torch.tensor([[0.0, 1.0, -torch.inf]])
    mask = torch.tensor([[True, True, False]])
    distillation(scores, teacher, mask_LC=mask, pointwise_weight=0.2).backward()
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0, 2] == 0.0
