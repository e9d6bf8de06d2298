"""Queries with judged items: what a ranker of texts learns from and is judged by."""

# C items of a query

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class JudgedList:
    """One query, texts of items, and how good each item is for it.

    Attributes:
        query_text: The words typed.
        item_texts: At least one.
        labels: One for each item: at least 0, larger is better, 0 attracts nothing.

    Raises:
        ValueError: If an item has no label, or a label is negative or no number.
    """

    query_text: str
    item_texts: tuple[str, ...]
    labels: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.item_texts or len(self.item_texts) != len(self.labels):
            raise ValueError(
                f"query {self.query_text!r}: expected a label for each of at least one item, "
                f"got {len(self.item_texts)} items, {len(self.labels)} labels"
            )
        if not (np.isfinite(self.labels).all() and min(self.labels) >= 0):
            raise ValueError(f"query {self.query_text!r}: labels must be at least 0: {self.labels}")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query with each item's text."""
        return [(self.query_text, item_text) for item_text in self.item_texts]

    @property
    def is_telling(self) -> bool:
        """Whether some order of the items is better than another."""
        return len(set(self.labels)) > 1


def query_key(query_text: str) -> str:
    """What two queries share that are the same words in another order, case or form.

    Example:
        >>> query_key("Rain  shower HEAD") == query_key("shower head rain")
        True
    """
    return " ".join(sorted(set(unicodedata.normalize("NFC", query_text).lower().split())))


def split_by_query(
    lists: Sequence[JudgedList], *, shares: Mapping[str, float], seed: int
) -> dict[str, list[JudgedList]]:
    """Lists by part; all lists of one ``query_key`` go to the same part, whatever else is there.

    Args:
        lists: All.
        shares: How much goes to each part, about; sums to 1.
        seed: Other seeds give other parts.

    Raises:
        ValueError: If the shares do not sum to 1.
    """
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        raise ValueError(f"shares must sum to 1, got {dict(shares)}")
    parts: dict[str, list[JudgedList]] = {name: [] for name in shares}
    ends = np.cumsum(list(shares.values()))
    names = list(shares)
    for each in lists:
        place = int(np.searchsorted(ends, _place(query_key(each.query_text), seed), side="right"))
        parts[names[min(place, len(names) - 1)]].append(each)
    return parts


def _place(key: str, seed: int) -> float:
    """A number in [0, 1) that a key keeps."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def graded_ndcg(scores_C: Floats, labels_C: Sequence[float], *, k: int) -> float:
    """Discounted gain of the k best scored items over the best possible one; ties cost.

    Source: Järvelin and Kekäläinen 2002; labels are the gains. Items of equal score are taken worst
    first, so that a model which says nothing gains nothing by it.

    Args:
        scores_C: Higher is better.
        labels_C: Gains, at least 0, one positive at least.
        k: Cut-off, at least 1.

    Raises:
        ValueError: If the lengths differ, a score is not finite, no gain is positive, or k < 1.

    Example:
        (1 + 3/log2(3)) / (3 + 1/log2(3)) = 2.8928 / 3.6309; all tied is the worst order.

        >>> round(graded_ndcg(np.array([2.0, 1.0]), [1.0, 3.0], k=10), 4)
        0.7967
        >>> round(graded_ndcg(np.array([0.0, 0.0]), [3.0, 1.0], k=10), 4)
        0.7967
    """
    scores = np.asarray(scores_C, dtype=np.float64)
    gains = np.asarray(labels_C, dtype=np.float64)
    if scores.shape != gains.shape or k < 1 or not np.isfinite(scores).all():
        raise ValueError(
            f"expected k >= 1 and a finite score for each label, got {k=}, {len(scores)} scores, "
            f"{len(gains)} labels"
        )
    if not (gains > 0).any():
        raise ValueError("no item has a positive gain: no order is better than another")
    discounts = 1.0 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    ranked = gains[np.lexsort((gains, -scores))][:k]
    best = np.sort(gains)[::-1][:k]
    return float((ranked * discounts).sum() / (best * discounts).sum())


def ndcg_of_lists(
    scores: Sequence[Floats], lists: Sequence[JudgedList], *, k: int
) -> npt.NDArray[np.float64]:
    """``graded_ndcg`` of each list, in order; the lists must be telling.

    Raises:
        ValueError: If a list is not telling, or has another number of scores than items.
    """
    if not all(each.is_telling for each in lists):
        raise ValueError("a list whose items are all as good as each other says nothing: leave out")
    return np.array(
        [graded_ndcg(given, each.labels, k=k) for given, each in zip(scores, lists, strict=True)]
    )
