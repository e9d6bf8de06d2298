"""From ordered to shown: a gentle cap on what repeats, a gentle lift for what is new.

A greedy pass (the selection step of MMR, Carbonell & Goldstein 1998) in which similarity is plain:
same category, same brand. *What differs:* it is a cap, not a trade-off. An item steps back only
when its category or brand has filled its share of the answer, and then only behind items of others:
on a shop without categories the order is the ranking's own, exactly.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RerankConfig:
    """How far re-ranking may go.

    Attributes:
        category_share: The part of an answer one category may fill; 1 turns the cap off.
        brand_share: The same for a brand.
        fresh_lift: Added to a fresh item's score, as a part of the list's spread; 0 turns it off.
            Off by default: on a shop without launches it costs recall and gives nothing.
        fresh_days: How long an item is fresh after it became available.
    """

    category_share: float = 0.8
    brand_share: float = 0.8
    fresh_lift: float = 0.0
    fresh_days: int = 7


def lift_fresh(
    scores_C: npt.NDArray[np.float64], is_fresh_C: npt.NDArray[np.bool_], *, lift: float
) -> npt.NDArray[np.float64]:
    """Scores with fresh items lifted by a part of the spread of the finite scores."""
    finite = np.isfinite(scores_C)
    if lift == 0 or not finite.any():
        return scores_C
    spread = float(scores_C[finite].max() - scores_C[finite].min())
    return scores_C + np.where(is_fresh_C, lift * spread, 0.0)


def diversify(
    ordered: Sequence[int],
    *,
    k: int,
    groups: Sequence[tuple[npt.NDArray[np.object_], float]],
) -> list[int]:
    """The first k of ``ordered``, best first, with no group above its share.

    Args:
        ordered: item_index, best first.
        k: How many; fewer if there are fewer.
        groups: (label by item_index, share): null labels are no group.

    Example:
        >>> labels = np.array([None, None, "a", "a", "a", "b"], dtype=object)
        >>> diversify([2, 3, 4, 5], k=3, groups=[(labels, 0.6)])
        [2, 3, 5]
    """
    limits = [(labels, math.ceil(share * k)) for labels, share in groups if share < 1]
    counts: list[Counter[object]] = [Counter() for _ in limits]
    taken: list[int] = []
    passed: list[int] = []
    for item in ordered:
        if len(taken) == k:
            break
        own = [labels[item] for labels, _ in limits]
        is_full = any(
            label is not None and count[label] >= limit
            for label, count, (_, limit) in zip(own, counts, limits, strict=True)
        )
        if is_full:
            passed.append(item)
            continue
        taken.append(item)
        for label, count in zip(own, counts, strict=True):
            count[label] += 1
    return (taken + passed)[:k]
