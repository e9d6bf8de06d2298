"""Cross-entropy over the catalog, whole or sampled, of many states at once. Pure functions."""

# P positions, D width, V catalog, N negatives

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_CELLS = 2**20
"""Logits held at a time: 4 MiB stay in a CPU's cache."""


def full_softmax(states_PD: Tensor, items_VD: Tensor, target_P: Tensor) -> Tensor:
    """Mean cross-entropy of each state's target among all items; a scalar.

    The P × V logits never stand in memory as a whole: each chunk of rows gives its loss and its
    part of both gradients at once. Source: Cut Your Losses (https://arxiv.org/abs/2411.09009),
    whose kernel does the same; here it is matrix products over rows that fit the cache.

    Args:
        states_PD: One state a position.
        items_VD: One vector an item.
        target_P: The right item of each position.
    """
    if states_PD.device.type == "cpu":
        loss: Tensor = _FullSoftmax.apply(states_PD, items_VD, target_P)  # type: ignore[no-untyped-call]
        return loss
    return functional.cross_entropy((states_PD @ items_VD.T).float(), target_P)


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states_PD: Tensor, items_VD: Tensor, target_P: Tensor) -> Tensor:
        rows = max(1, CHUNK_CELLS // len(items_VD))
        grad_states_PD = torch.empty_like(states_PD)
        grad_items_VD = torch.zeros_like(items_VD)
        buffer_RV = torch.empty(min(rows, len(states_PD)), len(items_VD))
        total = states_PD.new_zeros(())
        for begin in range(0, len(states_PD), rows):
            states_RD, target_R1 = (x[begin : begin + rows] for x in (states_PD, target_P[:, None]))
            logits_RV = torch.mm(states_RD, items_VD.T, out=buffer_RV[: len(states_RD)])
            wanted_R1 = logits_RV.gather(1, target_R1)
            largest_R1 = logits_RV.amax(dim=1, keepdim=True)
            share_RV = logits_RV.sub_(largest_R1).exp_()
            sum_R1 = share_RV.sum(dim=1, keepdim=True)
            total += (largest_R1 + sum_R1.log() - wanted_R1).sum()
            share_RV.div_(sum_R1)
            share_RV.scatter_add_(1, target_R1, torch.full_like(wanted_R1, -1.0))
            torch.mm(share_RV, items_VD, out=grad_states_PD[begin : begin + rows])
            grad_items_VD.addmm_(share_RV.T, states_RD)
        ctx.save_for_backward(grad_states_PD, grad_items_VD)
        ctx.count = len(states_PD)
        return total / len(states_PD)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_states_PD, grad_items_VD = ctx.saved_tensors
        scale = grad_outputs[0] / ctx.count
        return grad_states_PD * scale, grad_items_VD * scale, None


def sampled_softmax(
    states_PD: Tensor,
    wanted_PD: Tensor,
    negatives_ND: Tensor,
    *,
    target_P: Tensor,
    negative_N: Tensor,
    log_q_V: Tensor,
) -> Tensor:
    """Mean cross-entropy of each state's target among itself and negatives that all share.

    Every logit loses the log of its item's probability of being drawn, so that the loss is not
    biased towards rare items. Source: Yi et al. 2019, https://doi.org/10.1145/3298689.3346996. A
    negative that is a row's target counts nothing in that row.

    Args:
        states_PD: One state a position.
        wanted_PD: The vector of each position's target.
        negatives_ND: The vectors of the drawn items.
        target_P: Each position's target.
        negative_N: The drawn items, drawn with replacement.
        log_q_V: The log of how many times each item is drawn on average.
    """
    logits_PN = (states_PD @ negatives_ND.T).float() - log_q_V[negative_N]
    is_target_PN = target_P[:, None] == negative_N
    logits_PN = logits_PN.masked_fill(is_target_PN, float("-inf"))
    # Its own log q is 0: the target is there for certain.
    wanted_P = (states_PD * wanted_PD).sum(dim=1).float()
    others_P = torch.logsumexp(logits_PN, dim=1)
    return functional.softplus(others_P - wanted_P).mean()
