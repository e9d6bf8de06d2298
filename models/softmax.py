"""Cross-entropy over the catalog, whole or sampled, of many states at once. Pure functions."""

# P positions, D width, V catalog, N negatives

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_BYTES = 2**22
"""Logits held at a time: 4 MiB stay in a CPU's cache."""

TINY = torch.finfo(torch.float32).tiny
"""The least probability whose logarithm is taken; bfloat16 reaches as far."""


def full_softmax(states_PD: Tensor, items_VD: Tensor, target_P: Tensor) -> Tensor:
    """Mean cross-entropy of each state's target among all items; a scalar.

    The P × V logits never stand in memory as a whole: each chunk of rows gives its loss and its
    part of both gradients at once. Source: Cut Your Losses (https://arxiv.org/abs/2411.09009),
    whose kernel does the same; here it is matrix products over rows that fit the cache. They are
    of bfloat16 where the CPU multiplies it, as on a GPU: two to three times as fast, and gradients
    rounded by some .2 %. A target that a state holds for impossible counts 87, -log of ``TINY``.

    Args:
        states_PD: One state a position.
        items_VD: One vector an item.
        target_P: The right item of each position.
    """
    if states_PD.device.type == "cpu":
        loss: Tensor = _FullSoftmax.apply(states_PD, items_VD, target_P)  # type: ignore[no-untyped-call]
        return loss
    return functional.cross_entropy((states_PD @ items_VD.T).float(), target_P)


def product_type() -> torch.dtype:
    """What this CPU multiplies fastest."""
    able = torch.cpu.get_capabilities()
    is_bf16 = able.get("avx512_bf16") or able.get("amx_bf16")
    return torch.bfloat16 if is_bf16 else torch.float32


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states_PD: Tensor, items_VD: Tensor, target_P: Tensor) -> Tensor:
        kind = product_type()
        rows = max(1, CHUNK_BYTES // (kind.itemsize * len(items_VD)))
        grad_states_PD = torch.empty_like(states_PD)
        grad_items_VD = torch.zeros_like(items_VD)
        given_PD, against_VD = states_PD.to(kind), items_VD.to(kind)
        buffer_RV = given_PD.new_empty(min(rows, len(states_PD)), len(items_VD))
        start_R = torch.arange(len(buffer_RV)) * len(items_VD)
        wanted_P1 = torch.empty(len(states_PD), 1)
        for begin in range(0, len(states_PD), rows):
            given_RD = given_PD[begin : begin + rows]
            target_R1 = target_P[begin : begin + rows, None]
            share_RV = torch.mm(given_RD, against_VD.T, out=buffer_RV[: len(given_RD)])
            # In place: each row is read before it is written, and half the cache is enough.
            torch.softmax(share_RV, 1, out=share_RV)
            wanted_R1 = share_RV.gather(1, target_R1)
            wanted_P1[begin : begin + rows] = wanted_R1
            # What is left is the gradient. Not scatter_, which copies a whole bfloat16 matrix.
            at_R = start_R[: len(given_RD)] + target_R1[:, 0]
            share_RV.view(-1).index_copy_(0, at_R, wanted_R1[:, 0] - 1)
            grad_states_PD[begin : begin + rows] = torch.mm(share_RV, against_VD)
            if kind == grad_items_VD.dtype:
                grad_items_VD.addmm_(share_RV.T, given_RD)
            else:  # Added up in bfloat16, what is small would be lost to what is large.
                grad_items_VD += torch.mm(share_RV.T, given_RD)
        ctx.save_for_backward(grad_states_PD, grad_items_VD)
        ctx.count = len(states_PD)
        return -wanted_P1.clamp_(min=TINY).log_().mean()

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
