"""What a ranker of texts minimizes."""

# L lists, C items of a list

from torch import Tensor
from torch.nn import functional


def graded_pairs(scores_LC: Tensor, labels_LC: Tensor, *, mask_LC: Tensor) -> Tensor:
    """Logistic loss of every two items of a list whose labels differ, the larger to be above.

    Source: RankNet (Burges et al. 2005, https://doi.org/10.1145/1102351.1102363). What differs: a
    pair counts as much as its labels differ, and a list as much as any other. ListNet, whose target
    is the labels' shares, was tried first: where all items are good for their query the shares are
    nearly equal and teach nearly nothing (docs/log.md).

    Args:
        scores_LC: Any real numbers.
        labels_LC: Larger is better; two labels at least differ in every list.
        mask_LC: True where there is an item; padding counts nowhere.

    Example:
        Both differ by 3, one pair is 2 above and one level: (log(1 + e^-2) + log 2) / 2.

        >>> import torch
        >>> scores, labels = torch.tensor([[2.0, 0.0, 2.0]]), torch.tensor([[3.0, 0.0, 0.0]])
        >>> mask = torch.tensor([[True, True, True]])
        >>> round(graded_pairs(scores, labels, mask_LC=mask).item(), 4)
        0.41
        >>> mask = torch.tensor([[True, True, False]])
        >>> round(graded_pairs(scores, labels, mask_LC=mask).item(), 4)
        0.1269
    """
    both_LCC = mask_LC[:, :, None] & mask_LC[:, None, :]
    apart_LCC = (labels_LC[:, :, None] - labels_LC[:, None, :]).clamp(min=0) * both_LCC
    loss_LCC = functional.softplus(scores_LC[:, None, :] - scores_LC[:, :, None])
    loss_L = (apart_LCC * loss_LCC).sum(dim=(1, 2)) / apart_LCC.sum(dim=(1, 2))
    return loss_L.mean()
