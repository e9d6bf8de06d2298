"""Scoring whole ranking lists, judging their order, and fitting the fusion on validation lists."""

# L lists, C candidates, N candidates of all lists

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.fusion import Fusion
from models.ranking.dnn import FeatureNetwork
from models.ranking.lists import ListBatch, RankingLists

LISTS_AT_ONCE: Final = 128
COUNTED_WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
"""Tried for what is counted, in log-odds a deviation."""


@dataclass(frozen=True)
class Scored:
    """Lists with both rankers' raw scores; ``counted_LC``: ``features.counted_of``, if asked."""

    dnn_LC: npt.NDArray[np.float32]
    transformer_LC: npt.NDArray[np.float32]
    labels_LC: npt.NDArray[np.float32]
    mask_LC: npt.NDArray[np.bool_]
    counted_LC: npt.NDArray[np.float32] | None = None


def fit_fusion(scored: Sequence[Scored]) -> Fusion:
    """Calibrate both rankers and learn α on all candidates of all lists.

    The weight of what is counted is then the one of ``COUNTED_WEIGHTS`` with the best NDCG@10; the
    least of equally good ones.

    Raises:
        ValueError: If all candidates or none were wanted.
    """
    fusion = Fusion.fit(
        np.concatenate([lists.dnn_LC[lists.mask_LC] for lists in scored]),
        np.concatenate([lists.transformer_LC[lists.mask_LC] for lists in scored]),
        np.concatenate([lists.labels_LC[lists.mask_LC] > 0 for lists in scored]),
    )
    if all(lists.counted_LC is None for lists in scored):
        return fusion
    tried = [replace(fusion, counted_weight=weight) for weight in COUNTED_WEIGHTS]
    return max(tried, key=lambda each: mean_ndcg(each, scored))


def mean_ndcg(fusion: Fusion, scored: Sequence[Scored]) -> float:
    """The fusion's NDCG@10, averaged over the sets of lists (one a task)."""
    values = []
    for lists in scored:
        dnn_LC, transformer_LC = (
            np.where(lists.mask_LC, scores_LC, 0.0)
            for scores_LC in (lists.dnn_LC, lists.transformer_LC)
        )
        fused_LC = fusion(dnn_LC, transformer_LC, lists.counted_LC)
        fused_LC = np.where(lists.mask_LC, fused_LC, np.float32(-np.inf))
        values.append(list_ndcg(fused_LC, lists.labels_LC))
    return float(np.mean(values))


def score_batch(model: nn.Module, batch: ListBatch) -> Tensor:
    """Scores [L, C] by either ranker."""
    scores_LC: Tensor
    if isinstance(model, FeatureNetwork):
        scores_LC = model(batch.features_LCF)
    else:
        scores_LC = model(batch.history_LT, batch.item_index_LC, batch.features_LCF)
    return scores_LC


def score_lists(
    model: nn.Module, lists: RankingLists, *, item_columns: slice = slice(None)
) -> npt.NDArray[np.float32]:
    """Scores [L, C] of all lists, on the model's device; padding gets ``-inf``."""
    device = next(model.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(lists), LISTS_AT_ONCE):
            some = lists.take(np.arange(start, min(start + LISTS_AT_ONCE, len(lists))))
            batch = ListBatch(
                torch.from_numpy(np.ascontiguousarray(some.features_LCF[:, :, item_columns])),
                torch.from_numpy(some.history_LT),
                torch.from_numpy(some.item_index_LC),
                torch.from_numpy(some.labels_LC),
            )
            parts.append(score_batch(model, batch.to(device)).float().cpu().numpy())
    scores_LC = np.concatenate(parts)
    scores_LC[~lists.mask_LC] = -np.inf
    return scores_LC


def list_ndcg(
    scores_LC: npt.NDArray[np.float32], labels_LC: npt.NDArray[np.float32], *, k: int = 10
) -> float:
    """Mean NDCG@k, binary gains, over lists with a label; ties count against the model.

    What retrieval missed is not in the list, so this compares rankers, it does not judge a shop.

    Example:
        >>> scores, labels = np.array([[3.0, 2.0, 1.0]]), np.array([[0.0, 1.0, 0.0]])
        >>> round(list_ndcg(scores, labels), 4)  # 1 / log2(3)
        0.6309
    """
    ndcg_L = ndcg_of_lists(scores_LC, labels_LC, k=k)
    return float(np.mean(ndcg_L[~np.isnan(ndcg_L)]))


def ndcg_of_lists(
    scores_LC: npt.NDArray[np.floating], labels_LC: npt.NDArray[np.float32], *, k: int = 10
) -> npt.NDArray[np.float64]:
    """NDCG@k of each list, as ``list_ndcg``; NaN where nothing was wanted. Shape [L]."""
    wanted_LC = labels_LC > 0
    order_LC = np.lexsort((wanted_LC, -scores_LC), axis=1)[:, :k]
    discount_K = 1.0 / np.log2(np.arange(2, order_LC.shape[1] + 2))
    gained_L = (np.take_along_axis(wanted_LC, order_LC, axis=1) * discount_K).sum(axis=1)
    ideal_K = np.concatenate([[np.nan], np.cumsum(discount_K)])
    return np.asarray(gained_L / ideal_K[np.minimum(wanted_LC.sum(axis=1), len(discount_K))])
