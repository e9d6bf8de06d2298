"""How a ranker did in each list, as sums: added up over any sample of lists they give its measures.

So a bootstrap over lists needs no second look at the candidates: one product of matrices.
"""

# L lists, C candidates, S sums of one list, N candidates of all lists, K bins of scores

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from models.binary_metrics import (
    Bools,
    Counts,
    Floats,
    area_under_curve,
    count_decisions,
    logistic_losses,
)
from models.ranking.judge import ndcg_of_lists

MEASURES: Final = ("accuracy", "precision", "recall", "f1", "auc", "ndcg_at_10", "log_loss")
LOWER_IS_BETTER: Final = frozenset({"log_loss"})
BINS: Final = 500
"""Of scores, for the area under the curve: pairs of one bin, one in 500, count half."""
_BEFORE_BINS: Final = 7


def tally_lists(
    log_odds_LC: npt.NDArray[np.floating],
    labels_LC: npt.NDArray[np.float32],
    mask_LC: Bools,
    *,
    threshold: float,
    bins: int = BINS,
) -> Floats:
    """The sums of each list. Shape [L, S]; ``measures_of`` reads them.

    Args:
        log_odds_LC: Calibrated scores; at padding anything.
        labels_LC: Above 0 is wanted.
        mask_LC: True where there is a candidate.
        threshold: A candidate is chosen from these log-odds on.
        bins: About as many candidates of all lists in each.
    """
    wanted_LC = labels_LC > 0
    counts = count_decisions(log_odds_LC >= threshold, wanted_LC, mask=mask_LC)
    losses_LC = logistic_losses(np.where(mask_LC, log_odds_LC, 0.0), wanted_LC)
    ndcg_L = ndcg_of_lists(np.where(mask_LC, log_odds_LC, -np.inf), labels_LC * mask_LC)
    has_wanted_L = ~np.isnan(ndcg_L)
    bin_LC = _bins_of(log_odds_LC, mask_LC, bins)
    return np.column_stack(
        [
            counts.true_positive,
            counts.false_positive,
            counts.false_negative,
            counts.true_negative,
            (losses_LC * mask_LC).sum(axis=1),
            np.where(has_wanted_L, ndcg_L, 0.0),
            has_wanted_L,
            _histograms(bin_LC, wanted_LC & mask_LC, bins),
            _histograms(bin_LC, ~wanted_LC & mask_LC, bins),
        ]
    )


def measures_of(sums: Floats) -> Mapping[str, Floats]:
    """``MEASURES`` of each sample whose lists' sums were added up: [..., S] gives [...].

    Accuracy, precision, recall, F1, the area under the curve and the mean log loss (nats) are over
    all candidates of all lists together; NDCG@10 is the mean over lists with something wanted.
    """
    counts = Counts(*np.moveaxis(sums[..., :4], -1, 0))
    wanted_K, unwanted_K = np.split(sums[..., _BEFORE_BINS:], 2, axis=-1)
    return {
        "accuracy": counts.accuracy,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "auc": area_under_curve(wanted_K, unwanted_K),
        "ndcg_at_10": sums[..., 5] / sums[..., 6],
        "log_loss": sums[..., 4] / counts.total,
    }


def _bins_of(
    scores_LC: npt.NDArray[np.floating], mask_LC: Bools, bins: int
) -> npt.NDArray[np.int64]:
    inner = np.quantile(scores_LC[mask_LC], np.linspace(0.0, 1.0, bins + 1)[1:-1])
    return np.asarray(np.searchsorted(inner, scores_LC, side="right"), dtype=np.int64)


def _histograms(bin_LC: npt.NDArray[np.int64], kept_LC: Bools, bins: int) -> Floats:
    row_N, column_N = np.nonzero(kept_LC)
    cell_N = row_N * bins + bin_LC[row_N, column_N]
    return np.bincount(cell_N, minlength=len(bin_LC) * bins).reshape(-1, bins).astype(np.float64)
