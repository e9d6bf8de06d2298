"""Wanted or not, candidate by candidate: accuracy and its relatives, and where to cut for them.

Counts are kept, not rates: those of many lists add up, so a bootstrap over lists is one product of
matrices. Where a share is of nothing (precision of a model that chooses nothing) it is 0.
"""

# N candidates, K bins of scores

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """How often a decision was right and wrong: four arrays of one shape, a cell a sample.

    Example:
        >>> counts = Counts(*np.array([3.0, 1.0, 2.0, 94.0]))  # 3 of 5 wanted are chosen, 1 other
        >>> [round(float(value), 4) for value in (counts.accuracy, counts.precision)]
        [0.97, 0.75]
        >>> [round(float(value), 4) for value in (counts.recall, counts.f1)]
        [0.6, 0.6667]
    """

    true_positive: Floats
    false_positive: Floats
    false_negative: Floats
    true_negative: Floats

    @property
    def wanted(self) -> Floats:
        """How many were wanted."""
        return self.true_positive + self.false_negative

    @property
    def total(self) -> Floats:
        """How many there were."""
        return self.wanted + self.false_positive + self.true_negative

    @property
    def accuracy(self) -> Floats:
        """The share of right decisions, of all."""
        return _share(self.true_positive + self.true_negative, self.total)

    @property
    def precision(self) -> Floats:
        """The share of the chosen that was wanted."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> Floats:
        """The share of the wanted that was chosen."""
        return _share(self.true_positive, self.wanted)

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall: 2·tp / (chosen + wanted)."""
        chosen = self.true_positive + self.false_positive
        return _share(2.0 * self.true_positive, chosen + self.wanted)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(part / np.where(whole > 0.0, whole, 1.0))


def count_decisions(is_chosen: Bools, is_wanted: Bools, *, mask: Bools) -> Counts:
    """Count along the last axis; what ``mask`` leaves out counts nowhere.

    Args:
        is_chosen: What a model said yes to. Any shape.
        is_wanted: What was right. The same shape.
        mask: True where there is a candidate. The same shape.
    """
    cells = (
        is_chosen & is_wanted,
        is_chosen & ~is_wanted,
        ~is_chosen & is_wanted,
        ~is_chosen & ~is_wanted,
    )
    return Counts(*((cell & mask).sum(axis=-1).astype(np.float64) for cell in cells))


def best_f1_threshold(scores_N: npt.NDArray[np.floating], is_wanted_N: Bools) -> float:
    """The score from which on a candidate is chosen, so that F1 is as large as it can be.

    Candidates of one score are chosen together. Of equally good thresholds it is the highest.

    Raises:
        ValueError: If a score is not finite, or nothing was wanted: there is no F1 to maximize.

    Example:
        Choosing 3 finds both wanted: F1 = 2·2 / (3 + 2) = .8; choosing 1 finds one: 2 / 3.

        >>> scores, wanted = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])
        >>> best_f1_threshold(scores, wanted)
        2.0
    """
    if not np.isfinite(scores_N).all():
        raise ValueError("a threshold needs finite scores")
    if not is_wanted_N.any():
        raise ValueError(f"none of {len(is_wanted_N)} candidates was wanted: there is no best F1")
    order = np.argsort(-scores_N, kind="stable")
    falling_N = scores_N[order]
    found_N = np.cumsum(is_wanted_N[order])
    chosen_N = np.arange(1, len(order) + 1)
    f1_N = 2.0 * found_N / (chosen_N + found_N[-1])
    # A cut inside a group of equal scores cannot be made.
    is_last_of_score_N = np.append(falling_N[1:] < falling_N[:-1], True)
    best = int(np.argmax(np.where(is_last_of_score_N, f1_N, -1.0)))
    return float(falling_N[best])


def area_under_curve(wanted_K: Floats, unwanted_K: Floats) -> Floats:
    """How often a wanted candidate scores higher than an unwanted one; within a bin: half.

    Args:
        wanted_K: Wanted candidates of each bin of scores, lowest scores first; any shape [..., K].
        unwanted_K: Unwanted ones. The same shape.

    Example:
        The upper bin's wanted one beats two and ties with one, the lower one's ties with two:
        (2 + 1/2 + 2/2) / (2 · 3)

        >>> round(float(area_under_curve(np.array([1.0, 1.0]), np.array([2.0, 1.0]))), 4)
        0.5833
    """
    below_K = np.cumsum(unwanted_K, axis=-1) - unwanted_K / 2.0
    pairs = wanted_K.sum(axis=-1) * unwanted_K.sum(axis=-1)
    return _share((wanted_K * below_K).sum(axis=-1), pairs)


def logistic_losses(log_odds: Floats, is_wanted: Bools) -> Floats:
    """``-log`` of the probability that was given to what happened, each; in nats.

    Example:
        >>> logistic_losses(np.array([0.0, np.log(3.0)]), np.array([True, False])).round(4)
        array([0.6931, 1.3863])
    """
    return np.asarray(np.logaddexp(0.0, np.where(is_wanted, -log_odds, log_odds)))
