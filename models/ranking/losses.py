"""What the rankers minimize: pure functions of scores and labels of one list each."""

# L lists, C candidates of a list

import torch
from torch import Tensor
from torch.nn import functional as nnf


def listwise_softmax(scores_LC: Tensor, labels_LC: Tensor, *, mask_LC: Tensor) -> Tensor:
    """Cross-entropy between each list's labels (as shares) and the softmax of its scores.

    Lists without a positive label say nothing about order and are left out.

    Source: ListNet, top-one form (Cao et al., 2007). Differs: labels are shares of their sum, not
    a softmax of labels, so an item with label 0 attracts nothing.

    Args:
        scores_LC: Any real numbers.
        labels_LC: At least 0; larger is better.
        mask_LC: True where there is a candidate; padding counts nowhere.

    Example:
        >>> scores = torch.tensor([[0.0, 0.0, 9.0]])
        >>> labels = torch.tensor([[1.0, 0.0, 0.0]])
        >>> mask = torch.tensor([[True, True, False]])
        >>> round(float(listwise_softmax(scores, labels, mask_LC=mask)), 4)  # log 2
        0.6931
    """
    log_probability_LC = nnf.log_softmax(
        scores_LC.float().masked_fill(~mask_LC, -torch.inf), dim=1
    ).masked_fill(~mask_LC, 0.0)
    labels_LC = labels_LC.float() * mask_LC
    total_L = labels_LC.sum(1)
    loss_L = -(labels_LC * log_probability_LC).sum(1) / total_L.clamp(min=1e-9)
    has_positive_L = total_L > 0
    return (loss_L * has_positive_L).sum() / has_positive_L.sum().clamp(min=1)


def pointwise_logistic(scores_LC: Tensor, labels_LC: Tensor, *, mask_LC: Tensor) -> Tensor:
    """Mean binary cross-entropy over the candidates, ``label > 0`` against the rest.

    Example:
        >>> scores = torch.zeros(1, 2)
        >>> labels = torch.tensor([[2.0, 0.0]])
        >>> mask = torch.ones(1, 2, dtype=torch.bool)
        >>> round(float(pointwise_logistic(scores, labels, mask_LC=mask)), 4)  # log 2
        0.6931
    """
    wanted_LC = (labels_LC > 0).float()
    loss_LC = nnf.binary_cross_entropy_with_logits(scores_LC.float(), wanted_LC, reduction="none")
    return (loss_LC * mask_LC).sum() / mask_LC.sum().clamp(min=1)


def ranking_loss(
    scores_LC: Tensor, labels_LC: Tensor, *, mask_LC: Tensor, pointwise_weight: float
) -> Tensor:
    """Listwise for the order, plus a share of pointwise so that scores also mean something."""
    order = listwise_softmax(scores_LC, labels_LC, mask_LC=mask_LC)
    level = pointwise_logistic(scores_LC, labels_LC, mask_LC=mask_LC)
    return order + pointwise_weight * level


def distillation(
    scores_LC: Tensor, teacher_LC: Tensor, *, mask_LC: Tensor, pointwise_weight: float
) -> Tensor:
    """How far a student's scores are from a teacher's; 0 where they are equal.

    Source: Hinton et al., 2015 (https://arxiv.org/abs/1503.02531). Differs: no temperature, for the
    teacher's softmax over a list is soft already; as in ``ranking_loss`` a part for the order (the
    divergence between the softmaxes of each list) and a share for the level (between the chances
    of each candidate), because what calibrates the scores sees all lists at once.

    Args:
        scores_LC: The student's.
        teacher_LC: The teacher's, finite where there is a candidate.
        mask_LC: True where there is a candidate; padding counts nowhere.
        pointwise_weight: Share of the level.

    Example:
        >>> scores, mask = torch.tensor([[2.0, 1.0]]), torch.ones(1, 2, dtype=torch.bool)
        >>> float(distillation(scores, scores, mask_LC=mask, pointwise_weight=0.2))
        0.0
    """
    scores_LC, teacher_LC = scores_LC.float(), teacher_LC.float()
    log_LC, wanted_log_LC = (
        nnf.log_softmax(some_LC.masked_fill(~mask_LC, -torch.inf), dim=1).masked_fill(~mask_LC, 0.0)
        for some_LC in (scores_LC, teacher_LC)
    )
    order_LC = wanted_log_LC.exp() * (wanted_log_LC - log_LC) * mask_LC
    # The teacher's own uncertainty is taken off, so that equal scores cost nothing.
    taught_LC = teacher_LC.masked_fill(~mask_LC, 0.0)
    chance_LC = taught_LC.sigmoid()
    level_LC = nnf.binary_cross_entropy_with_logits(
        scores_LC, chance_LC, reduction="none"
    ) - nnf.binary_cross_entropy_with_logits(taught_LC, chance_LC, reduction="none")
    count = mask_LC.sum().clamp(min=1)
    return order_LC.sum(1).mean() + pointwise_weight * (level_LC * mask_LC).sum() / count
