"""Losses of retrieval: softmax over the catalog, whole or sampled. Pure functions."""

# B rows, V catalog, C sampled columns

import torch
from torch import Tensor


def soft_cross_entropy(logits_BC: Tensor, wanted_BC: Tensor) -> Tensor:
    """Mean cross-entropy against each row's distribution over what was wanted.

    Args:
        logits_BC: Unnormalised log-probabilities; ``-inf`` is no candidate.
        wanted_BC: Non-negative weights, at least one positive in every row.

    Example:
        >>> soft_cross_entropy(torch.zeros(1, 4), torch.tensor([[0.0, 2.0, 2.0, 0.0]])).item()
        1.3862943649291992
    """
    log_share_BC = torch.log_softmax(logits_BC.float(), dim=1)
    share_BC = wanted_BC / wanted_BC.sum(dim=1, keepdim=True)
    # where, not a product: 0 × -inf is NaN.
    terms_BC = torch.where(share_BC > 0, share_BC * log_share_BC, 0.0)
    return -terms_BC.sum(dim=1).mean()


def any_and_new_loss(
    logits_BC: Tensor, wanted_BC: Tensor, bought_BC: Tensor, *, new_weight: float
) -> Tensor:
    """Cross-entropy over everything, and over what the row's user never bought.

    Repeats are easy and take most of the first; the second asks about the rest alone. Rows that
    wanted nothing new count in the first only.
    """
    everything = soft_cross_entropy(logits_BC, wanted_BC)
    is_new_BC = bought_BC <= 0
    new_BC = wanted_BC * is_new_BC
    rows = new_BC.sum(dim=1) > 0
    if not bool(rows.any()):
        return everything
    new_logits_BC = logits_BC.masked_fill(~is_new_BC, float("-inf"))
    return everything + new_weight * soft_cross_entropy(new_logits_BC[rows], new_BC[rows])


def sampled_columns(wanted_BV: Tensor, share_V: Tensor, *, negatives: int) -> tuple[Tensor, Tensor]:
    """Which items a batch is compared with: all it wants, and negatives shared by all rows.

    Args:
        wanted_BV: Positive where an item is wanted.
        share_V: The probability of drawing each item; sums to 1.
        negatives: Draws, with replacement, from torch's global generator.

    Returns:
        The columns (sorted, unique) and their log-q: the log of the probability that an item is
        among the drawn, which the logits must lose so that the sampled softmax is not biased
        towards rare items. Source: Yi et al. 2019, https://doi.org/10.1145/3298689.3346996. A
        wanted column that was also likely to be drawn is corrected in the same way.
    """
    drawn = torch.multinomial(share_V, negatives, replacement=True)
    columns_C = torch.unique(torch.cat([torch.nonzero(wanted_BV.sum(dim=0)).ravel(), drawn]))
    is_in_C = -torch.expm1(negatives * torch.log1p(-share_V[columns_C].clamp(max=1 - 1e-6)))
    return columns_C, torch.log(is_in_C.clamp(min=1e-9))
