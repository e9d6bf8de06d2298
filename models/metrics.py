"""Ranking metrics, hand-worked. Binary gains; every figure is a mean over users.

Two forms give the same numbers: of ranked lists (what was answered) and of the ranks of the
relevant items (what evaluation computes from a whole score matrix).
"""

# P relevant (user, item) pairs, B users, V catalog

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

METRIC_NAMES: Final = ("recall_at_10", "ndcg_at_10", "hit_rate_at_10", "mrr")

Ranks = npt.NDArray[np.int64]


def recall_at_k(
    ranked: Sequence[Sequence[str]], relevant: Sequence[Collection[str]], *, k: int
) -> float:
    """Mean share of what could be found among the first k that was.

    Divides by min(k, relevant), so that 1 can be reached. Users with nothing relevant say nothing
    about the model and are left out.

    Args:
        ranked: Per user, item_ids best first; duplicates are the caller's bug.
        relevant: Per user, item_ids they went on to interact with; same order as ranked.
        k: Cut-off, at least 1.

    Raises:
        ValueError: If k < 1, the lengths differ, or no user has a relevant item.

    Example:
        >>> recall_at_k([["a", "b"], ["c", "d"]], [{"b", "z"}, {"c"}], k=2)
        0.75
        >>> recall_at_k([["a"]], [{"a", "b", "c"}], k=1)
        1.0
    """
    return _mean(ranked, relevant, k=k, metric=recall_of_ranks)


def ndcg_at_k(
    ranked: Sequence[Sequence[str]], relevant: Sequence[Collection[str]], *, k: int
) -> float:
    """Mean discounted gain of the first k over the best possible one.

    Args and raises: as ``recall_at_k``.

    Example:
        Relevant at ranks 1 and 3 of two relevant: (1 + 1/2) / (1 + 1/log2(3)) = 1.5 / 1.6309

        >>> round(ndcg_at_k([["a", "x", "b"]], [{"a", "b"}], k=3), 4)
        0.9197
        >>> ndcg_at_k([["x", "a"]], [{"a"}], k=1)
        0.0
    """
    return _mean(ranked, relevant, k=k, metric=ndcg_of_ranks)


def hit_rate_at_k(
    ranked: Sequence[Sequence[str]], relevant: Sequence[Collection[str]], *, k: int
) -> float:
    """Share of users with at least one relevant item among their first k.

    Args and raises: as ``recall_at_k``.

    Example:
        >>> hit_rate_at_k([["a", "b"], ["c", "d"]], [{"b", "z"}, {"z"}], k=2)
        0.5
    """
    return _mean(ranked, relevant, k=k, metric=hit_of_ranks)


def mrr(ranked: Sequence[Sequence[str]], relevant: Sequence[Collection[str]], *, k: int) -> float:
    """Mean of 1 / rank of the first relevant item, 0 where none is among the first k.

    Args and raises: as ``recall_at_k``.

    Example:
        >>> mrr([["a", "b"], ["c", "d"], ["e"]], [{"b"}, {"c"}, {"z"}], k=2)
        0.5
    """
    return _mean(ranked, relevant, k=k, metric=reciprocal_of_ranks)


def catalog_coverage(ranked: Sequence[Sequence[str]], catalog: Collection[str], *, k: int) -> float:
    """Share of the catalog that stands in at least one user's first k.

    Raises:
        ValueError: If k < 1 or the catalog is empty.

    Example:
        >>> catalog_coverage([["a", "b"], ["a", "c"]], {"a", "b", "c", "d"}, k=2)
        0.75
    """
    if k < 1 or not catalog:
        raise ValueError(f"k must be at least 1 and the catalog not empty, got {k=}")
    shown = {item for items in ranked for item in items[:k]}
    return len(shown & set(catalog)) / len(set(catalog))


def recall_of_ranks(
    user_P: Ranks, rank_P: Ranks, count_B: Ranks, *, k: int
) -> npt.NDArray[np.float64]:
    """Recall of each user, of the rank of each of their relevant items.

    Args:
        user_P: The user (row) of each relevant item.
        rank_P: Its rank, 1 = best; 0 = not ranked at all.
        count_B: Relevant items of each user, at least 1.
        k: Cut-off.
    """
    found = _found(rank_P, k)
    return np.bincount(user_P, weights=found, minlength=len(count_B)) / np.minimum(count_B, k)


def ndcg_of_ranks(
    user_P: Ranks, rank_P: Ranks, count_B: Ranks, *, k: int
) -> npt.NDArray[np.float64]:
    """NDCG of each user; arguments as ``recall_of_ranks``."""
    gains = np.where(_found(rank_P, k), 1.0 / np.log2(1.0 + np.maximum(rank_P, 1)), 0.0)
    best = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    gained = np.bincount(user_P, weights=gains, minlength=len(count_B))
    return np.asarray(gained / best[np.minimum(count_B, k)])


def hit_of_ranks(
    user_P: Ranks, rank_P: Ranks, count_B: Ranks, *, k: int
) -> npt.NDArray[np.float64]:
    """1 for each user with a relevant item among the first k; arguments as ``recall_of_ranks``."""
    found = np.bincount(user_P, weights=_found(rank_P, k), minlength=len(count_B))
    return (found > 0).astype(np.float64)


def reciprocal_of_ranks(
    user_P: Ranks, rank_P: Ranks, count_B: Ranks, *, k: int
) -> npt.NDArray[np.float64]:
    """1 / rank of each user's first relevant item; arguments as ``recall_of_ranks``."""
    best_B = np.zeros(len(count_B))
    found = _found(rank_P, k)
    np.maximum.at(best_B, user_P[found], 1.0 / rank_P[found])
    return best_B


def pessimistic_ranks(
    scores_BV: npt.NDArray[np.float32], user_P: Ranks, item_P: Ranks, *, k: int
) -> Ranks:
    """The rank of each pair: how many items score at least as high, ties against the model.

    Args:
        scores_BV: Higher is better; ``-inf`` is no candidate and is never found.
        user_P: Row of each pair.
        item_P: Column of each pair.
        k: Ranks beyond k are not needed and come back as 0.

    Raises:
        ValueError: If a score is NaN.

    Example:
        >>> scores = np.array([[3.0, 5.0, 3.0, -np.inf]], dtype=np.float32)
        >>> pair = np.array([0, 0, 0]), np.array([1, 2, 3])
        >>> pessimistic_ranks(scores, *pair, k=10).tolist()
        [1, 3, 0]
    """
    if np.isnan(scores_BV).any():
        raise ValueError("a score is NaN: the model cannot be judged")
    width = scores_BV.shape[1]
    kth_B = scores_BV[np.arange(len(scores_BV)), top_k(scores_BV, k=k)[:, -1]]
    score_P = scores_BV[user_P, item_P]
    ranks = np.zeros(len(user_P), dtype=np.int64)
    near = np.flatnonzero((score_P >= kth_B[user_P]) & np.isfinite(score_P))
    for some in np.array_split(near, max(1, len(near) * width // 20_000_000)):
        as_good = scores_BV[user_P[some]] >= score_P[some, None]
        ranks[some] = as_good.sum(axis=1)
    ranks[ranks > k] = 0
    return ranks


def calibration_error(
    probability_N: npt.NDArray[np.floating], happened_N: npt.NDArray[np.bool_], *, bins: int = 10
) -> float:
    """How far probabilities are from what happened: expected calibration error, 0 is best.

    Args:
        probability_N: What was said; sorted into bins of as many each.
        happened_N: Whether it came about.
        bins: How many; their distances are weighed by their sizes.

    Example:
        >>> said = np.repeat([0.1, 0.9], 10)
        >>> came = np.array([True] + [False] * 9 + [True] * 8 + [False] * 2)
        >>> round(calibration_error(said, came, bins=2), 3)  # (0 + .1) / 2
        0.05
    """
    order = np.argsort(probability_N, kind="stable")
    parts = [rows for rows in np.array_split(order, bins) if len(rows)]
    distances = [abs(probability_N[rows].mean() - happened_N[rows].mean()) for rows in parts]
    return float(np.average(distances, weights=[len(rows) for rows in parts]))


def top_k(scores_BV: npt.NDArray[np.float32], *, k: int) -> Ranks:
    """Each row's columns with the k highest scores, best first; all of them if there are fewer.

    torch's heap over a row takes a tenth of numpy's partition of it.
    """
    count = min(k, scores_BV.shape[1])
    return np.asarray(torch.topk(torch.from_numpy(scores_BV), count, dim=1).indices.numpy())


def _found(rank_P: Ranks, k: int) -> npt.NDArray[np.bool_]:
    return (rank_P >= 1) & (rank_P <= k)


def _mean(
    ranked: Sequence[Sequence[str]],
    relevant: Sequence[Collection[str]],
    *,
    k: int,
    metric: Callable[..., npt.NDArray[np.float64]],
) -> float:
    if k < 1 or len(ranked) != len(relevant):
        raise ValueError(
            f"expected k >= 1 and as many rankings as users, got {k=}, "
            f"{len(ranked)} rankings, {len(relevant)} users"
        )
    judged = [
        (items, set(wanted)) for items, wanted in zip(ranked, relevant, strict=True) if wanted
    ]
    if not judged:
        raise ValueError("no user has a relevant item")
    pairs = [
        (user, place + 1)
        for user, (items, wanted) in enumerate(judged)
        for place, item in enumerate(items)
        if item in wanted
    ]
    users, ranks = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    counts = np.array([len(wanted) for _, wanted in judged])
    return float(metric(users, ranks, counts, k=k).mean())
