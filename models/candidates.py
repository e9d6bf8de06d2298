"""Retrieval's union: what each source proposes, deduplicated, with every source's score of it."""

# B requests, C candidates, S sources, V catalog

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from models.batch import UserBatch
from models.catalog import FIRST_ITEM, PADDING
from models.retrieval.base import Retriever

Mask = npt.NDArray[np.bool_]

SCORES_AT_ONCE: Final = 8_000_000
"""User × catalog scores held at once and source: bounds memory to tens of MB a source."""


@dataclass(frozen=True)
class Candidates:
    """Up to C candidates a request, in ``item_index`` order, padded with 0 on the right.

    Attributes:
        item_index_BC: int32.
        source_scores_BCS: Each source's score of each candidate, also of those it did not propose
            itself; ``-inf`` = no opinion.
        source_names: The S sources.
    """

    item_index_BC: npt.NDArray[np.int32]
    source_scores_BCS: npt.NDArray[np.float32]
    source_names: tuple[str, ...]

    def __len__(self) -> int:
        """B."""
        return len(self.item_index_BC)

    @property
    def mask_BC(self) -> Mask:
        """True where there is a candidate."""
        return np.asarray(self.item_index_BC != PADDING)

    @cached_property
    def source_ranks_BCS(self) -> npt.NDArray[np.int32]:
        """Rank of each candidate in each source among the candidates: 1 = best, ties by index."""
        order_BCS = np.argsort(-self.source_scores_BCS, axis=1, kind="stable")
        ranks_BCS = np.empty(order_BCS.shape, dtype=np.int32)
        counting = np.arange(1, order_BCS.shape[1] + 1, dtype=np.int32)[None, :, None]
        np.put_along_axis(ranks_BCS, order_BCS, np.broadcast_to(counting, order_BCS.shape), axis=1)
        return ranks_BCS

    @property
    def best_source_BC(self) -> npt.NDArray[np.int64]:
        """Which source ranks the candidate best: its number in ``source_names``."""
        return np.asarray(self.source_ranks_BCS.argmin(axis=2))

    def take(self, rows: npt.NDArray[np.int64] | slice) -> "Candidates":
        """The same candidates of these requests only."""
        return Candidates(self.item_index_BC[rows], self.source_scores_BCS[rows], self.source_names)


def retrieve(
    retrievers: Mapping[str, Retriever],
    batch: UserBatch,
    *,
    per_source: int,
    allowed: Mask | None = None,
    also: Mask | None = None,
) -> Candidates:
    """Union of the best ``per_source`` allowed items of every source.

    Args:
        retrievers: name → source, in a fixed order.
        batch: The B users.
        per_source: How many each source may propose, at least 1.
        allowed: What may be a candidate, [V] or [B, V]; None allows every item.
        also: Allowed items that become candidates whether proposed or not, [B, V].

    Raises:
        ValueError: If ``per_source`` < 1 or there is no source.
    """
    if per_source < 1 or not retrievers:
        raise ValueError(f"per_source must be >= 1 and sources given, got {per_source}")
    may_BV = _allowed(allowed, batch.bought_BV.shape)
    scores = {
        name: np.where(may_BV, retriever.scores(batch), -np.inf)
        for name, retriever in retrievers.items()
    }
    proposed_BV = np.zeros(may_BV.shape, dtype=bool) if also is None else also & may_BV
    for scores_BV in scores.values():
        _propose(scores_BV, proposed_BV, count=per_source)
    index_BC = _padded_rows(proposed_BV)
    gathered = [np.take_along_axis(scores_BV, index_BC, axis=1) for scores_BV in scores.values()]
    scores_BCS = np.stack(gathered, axis=2).astype(np.float32)
    scores_BCS[index_BC == PADDING] = -np.inf
    return Candidates(index_BC.astype(np.int32), scores_BCS, tuple(scores))


def not_bought(batch: UserBatch) -> Mask:
    """What each user never bought: the candidates of the task ``new``. Shape [B, V]."""
    may_BV = np.ones(batch.bought_BV.shape, dtype=bool)
    may_BV[batch.bought_BV.nonzero()] = False
    return may_BV


def chunk_rows(batch: UserBatch) -> int:
    """How many users at once keep the score matrices small."""
    return max(1, SCORES_AT_ONCE // int(batch.bought_BV.shape[1]))


def _allowed(allowed: Mask | None, shape: tuple[int, ...]) -> Mask:
    may_BV = np.ones(shape, dtype=bool) if allowed is None else np.broadcast_to(allowed, shape)
    if may_BV[:, :FIRST_ITEM].any():
        may_BV = may_BV.copy()
        may_BV[:, :FIRST_ITEM] = False
    return may_BV


def _propose(scores_BV: npt.NDArray[np.float32], proposed_BV: Mask, *, count: int) -> None:
    count = min(count, scores_BV.shape[1])
    best_BK = np.argpartition(-scores_BV, count - 1, axis=1)[:, :count]
    has_opinion_BK = np.take_along_axis(scores_BV, best_BK, axis=1) > -np.inf
    rows_BK = np.broadcast_to(np.arange(len(scores_BV))[:, None], best_BK.shape)
    proposed_BV[rows_BK[has_opinion_BK], best_BK[has_opinion_BK]] = True


def _padded_rows(proposed_BV: Mask) -> npt.NDArray[np.int64]:
    counts_B = proposed_BV.sum(axis=1)
    rows, columns = np.nonzero(proposed_BV)
    starts_B = np.cumsum(counts_B) - counts_B
    places = np.arange(len(rows)) - starts_B[rows]
    index_BC = np.full((len(proposed_BV), max(int(counts_B.max(initial=0)), 1)), PADDING)
    index_BC[rows, places] = columns
    return index_BC
