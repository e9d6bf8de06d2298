"""The k items of highest inner product, exactly: bounds for all items, float64 for the few.

An answer is what a brute force in float64 over the float32 embeddings gives, ties to the lower
``item_index``, whatever the machine, its threads and the other queries of a batch. Four sieves:

1. Coarse scores of all items (``models/sieves.py``): in int8 (``models/rounded.py``) where the CPU
   multiplies it fast (VNNI, AMX), else in float32. Only the maxima of blocks of items are kept.
2. A floor under each query's k-th best score; the blocks whose maximum may reach it live on.
3. The float32 scores of their items, by the same floor.
4. The float64 scores of what is left, little more than k items, sorted.

float64 rounds as well, by some 10^-16 of both lengths: scores that are closer than this come in
either order, the same one each time. Equal embeddings have equal scores.
"""

# B queries, V items, W = V padded to tiles, E width, K asked, N (query, item) pairs

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from models.catalog import PADDING
from models.rounded import BLOCK, LEAST_NORM, Floats, Indices, multiplies_bytes
from models.sieves import (
    LOWEST,
    UNDERFLOW,
    Coarse,
    Hidden,
    Mask,
    Table,
    fine_scores,
    nearest,
    plain_scores,
    rounded_scores,
    span_items,
    sum_error,
    survivors,
)

MOST_NORM: Final = 1e18
"""Longer embeddings are refused: a product of two would come near the end of float32."""
QUERIES_AT_ONCE: Final = 256
FEW_QUERIES: Final = 3
"""So few are answered one by one: torch multiplies one vector in a better way than two."""
MAXIMA_AT_ONCE: Final = 1 << 23
PAIRS_AT_ONCE: Final = 1 << 17
"""(query, item) pairs in the fine sieves at once; more only where one query alone has more."""
FEW_PAIRS: Final = 1 << 11
"""So few have their float64 scores before torch has begun with the float32 ones."""
DOTS_AT_ONCE: Final = 1 << 9


@dataclass(frozen=True)
class Best:
    """The best items of each query, best first.

    Attributes:
        item_index_BK: int64. A query with fewer candidates than K ends with 0 (padding).
        scores_BK: Inner products in float64, rounded to float32 after they were sorted; ``-inf``
            beside padding.
    """

    item_index_BK: Indices
    scores_BK: Floats


@dataclass(frozen=True)
class _Asked:
    """Queries of one call, what they may get, and where their answers go.

    Attributes:
        row_B: The row of each in ``into``.
        may_V: Which items may be found at all; None is every item.
        seen_N: What one query must not get, sorted: its place here · V + item.
    """

    queries_BE: Floats
    norms_B: Floats
    row_B: Indices
    may_V: Mask | None
    seen_N: Indices
    into: Best
    size: int

    @property
    def k(self) -> int:
        return int(self.into.scores_BK.shape[1])

    def hidden(self) -> Hidden | None:
        if self.may_V is None and not len(self.seen_N):
            return None
        denied_H = np.zeros(0, np.int64) if self.may_V is None else np.flatnonzero(~self.may_V)
        query_N, item_N = np.divmod(self.seen_N, self.size)
        return Hidden(denied_H, item_N, query_N)

    def may(self, query_N: Indices, item_N: Indices) -> Mask:
        """Whether the item, which may be one behind the last, is a candidate of the query."""
        may_N = item_N < self.size
        if self.may_V is not None:
            may_N &= self.may_V[np.minimum(item_N, self.size - 1)]
        if len(self.seen_N):
            cell_N = query_N * self.size + item_N
            at_N = np.minimum(np.searchsorted(self.seen_N, cell_N), len(self.seen_N) - 1)
            may_N &= self.seen_N[at_N] != cell_N
        return may_N


class VectorIndex:
    """Item embeddings, ready to be searched. Thread-safe: holds nothing of a search.

    It copies the embeddings; with int8 it takes 1.3 times their memory.
    """

    def __init__(self, items_VE: Floats, *, is_rounded: bool | None = None) -> None:
        """Copy, round and measure the embeddings.

        Args:
            items_VE: One row per ``item_index``.
            is_rounded: Whether the first sieve computes in int8; None says so where the CPU does
                that fast and exactly. Answers do not depend on it.

        Raises:
            ValueError: If it is no matrix or empty, or an item is not finite or is longer than
                ``MOST_NORM``; or if int8 is wanted of a CPU that does not multiply it exactly.
        """
        items_VE = np.asarray(items_VE, dtype=np.float32)
        if items_VE.ndim != 2 or not items_VE.size:
            raise ValueError(f"expected items [V, E], not empty, got shape {items_VE.shape}")
        self.size, self.width = items_VE.shape
        if is_rounded is None:
            is_rounded = multiplies_bytes(self.width)
        elif is_rounded and not multiplies_bytes(self.width):
            raise ValueError("this CPU does not multiply int8 exactly, or not fast: no VNNI")
        self._table = Table.of(items_VE, _norms(items_VE, "item"), is_rounded=is_rounded)

    def best(
        self,
        queries_BE: Floats,
        *,
        k: int,
        allowed_V: Mask | None = None,
        excluded_BV: sparse.csr_matrix | None = None,
    ) -> Best:
        """The K = min(k, V) items of highest inner product with each query.

        Args:
            queries_BE: [B, E]; or one query [E], which is answered with [K].
            k: How many, at least 1.
            allowed_V: What may be found at all; None is every item.
            excluded_BV: What a query must not get (what was seen): every cell that is not zero.

        Raises:
            ValueError: If k < 1, a shape does not fit, or a query is not finite or is longer than
                ``MOST_NORM``.
        """
        queries_BE = np.ascontiguousarray(queries_BE, dtype=np.float32)
        if np.ndim(queries_BE) == 1:
            one = self.best(queries_BE[None], k=k, allowed_V=allowed_V, excluded_BV=excluded_BV)
            return Best(one.item_index_BK[0], one.scores_BK[0])
        self._require_fitting(queries_BE, k, allowed_V, excluded_BV)
        norms_B = _norms(queries_BE, "query")
        shape = len(queries_BE), min(k, self.size)
        best = Best(np.full(shape, PADDING, np.int64), np.full(shape, -np.inf, np.float32))

        def asked(row_B: Indices) -> _Asked:
            seen_N = _cells(excluded_BV, row_B)
            parts = queries_BE[row_B], norms_B[row_B], row_B
            return _Asked(*parts, allowed_V, seen_N, best, self.size)

        for row in np.flatnonzero(norms_B == 0):
            self._answer_zeros(asked(np.array([row])))
        left = np.flatnonzero(norms_B)
        if len(left) <= FEW_QUERIES:
            for at in range(len(left)):
                self._answer_one(asked(left[at : at + 1]))
            return best
        block = BLOCK if span_items(self.size, shape[1]) > 1 else 1
        step = max(1, min(QUERIES_AT_ONCE, MAXIMA_AT_ONCE * block // self.size))
        ways: list[Callable[[Table, Floats, Floats, Hidden | None], Coarse]]
        ways = [partial(plain_scores, block=block)]
        if block == BLOCK and self._table.rounded is not None:
            ways = [rounded_scores, *ways]
        for score in ways:
            starts = range(0, len(left), step)
            parts = [self._answer(asked(left[at : at + step]), score) for at in starts]
            left = np.concatenate([left[:0], *parts])
        return best

    def _answer_one(self, asked: _Asked) -> None:
        """One query's scores are little enough to be kept, so that items are sieved at once."""
        table, items = self._table, span_items(self.size, asked.k)
        item_N = None
        if table.rounded is not None and items > 1:
            item_N = nearest(table, asked.queries_BE[0], asked.hidden(), k=asked.k)
        if item_N is None:
            item_N = self._nearest_plain(asked, items)
        self._place(asked, np.zeros_like(item_N), item_N)

    def _nearest_plain(self, asked: _Asked, items: int) -> Indices:
        """By float32 scores: the items that may be among one query's k best."""
        table = self._table
        # torch's threads, as below: numpy's own, still waiting for work, take the cores from them.
        scores_W = torch.mv(table.items_WE, torch.from_numpy(asked.queries_BE[0])).numpy()
        scores_W[self.size :] = -np.inf
        if asked.may_V is not None:
            scores_W[: self.size][~asked.may_V] = -np.inf
        scores_W[asked.seen_N] = -np.inf
        own = np.float32(max(asked.norms_B[0], LEAST_NORM) * sum_error(self.width))
        scores_SG, norms_SG = scores_W.reshape(-1, items), table.norms_W.reshape(-1, items)
        top_S = torch.from_numpy(scores_SG).amax(dim=1).numpy()  # numpy takes four times as long.
        error_S = own * table.norms_S[items] + np.float32(UNDERFLOW)
        floor = max(np.partition(top_S - error_S, -asked.k)[-asked.k], LOWEST)
        near_S = np.flatnonzero(top_S + error_S >= floor)
        error_SG = own * norms_SG[near_S] + np.float32(UNDERFLOW)
        found = np.flatnonzero(scores_SG[near_S] + error_SG >= floor)
        return np.asarray(near_S[found // items] * items + found % items)

    def _answer(
        self, asked: _Asked, score: Callable[[Table, Floats, Floats, Hidden | None], Coarse]
    ) -> Indices:
        """Answer; the rows of those queries that rounding leaves wholly open come back."""
        table = self._table
        norms_B = np.maximum(asked.norms_B, np.float32(LEAST_NORM))
        coarse = score(table, asked.queries_BE, norms_B, asked.hidden())
        found = survivors(table, coarse, k=asked.k)
        block = coarse.block
        for some in _by_query(found.query_P, PAIRS_AT_ONCE // block):
            query_P, block_P = found.query_P[some], found.block_P[some]
            item_PJ = block_P[:, None] * block + np.arange(block)
            if block > 1 and item_PJ.size > FEW_PAIRS:
                scores_PJ = fine_scores(table.items_WE, asked.queries_BE, query_P, item_PJ)
                norms_P = norms_B[query_P] * table.norms_G[block_P]
                error_P = norms_P * np.float32(sum_error(self.width)) + np.float32(UNDERFLOW)
                kept = np.flatnonzero(scores_PJ >= (found.floor_B[query_P] - error_P)[:, None])
                self._place(asked, query_P[kept // block], item_PJ.ravel()[kept])
            else:
                self._place(asked, np.repeat(query_P, block), item_PJ.ravel())
        return asked.row_B[~found.is_settled_B]

    def _place(self, asked: _Asked, query_N: Indices, item_N: Indices) -> None:
        """Sort what is a candidate by float64 scores and write down the first K of each query."""
        may_N = asked.may(query_N, item_N)
        query_N, item_N = query_N[may_N], item_N[may_N]
        items_WE = self._table.items_WE.numpy()
        scores_N = np.empty(len(item_N))
        for at in range(0, len(item_N), DOTS_AT_ONCE):
            some = slice(at, at + DOTS_AT_ONCE)
            pair = asked.queries_BE[query_N[some]], items_WE[item_N[some]]
            scores_N[some] = np.einsum("ne,ne->n", *(rows.astype(np.float64) for rows in pair))
        order = np.lexsort((item_N, -scores_N, query_N))
        item_N, scores_N = item_N[order], scores_N[order]  # The queries are sorted already.
        first_B = np.searchsorted(query_N, np.arange(len(asked.row_B)))
        place_N = np.arange(len(order)) - first_B[query_N]
        first_N = place_N < asked.k
        at_N = asked.row_B[query_N[first_N]], place_N[first_N]
        asked.into.item_index_BK[at_N] = item_N[first_N]
        asked.into.scores_BK[at_N] = scores_N[first_N]

    def _answer_zeros(self, asked: _Asked) -> None:
        """A query of zeros finds everything alike: the first items that it may have."""
        every_N = np.arange(self.size) if asked.may_V is None else np.flatnonzero(asked.may_V)
        item_N = every_N[: asked.k + len(asked.seen_N)]
        self._place(asked, np.zeros_like(item_N), item_N)

    def _require_fitting(
        self,
        queries_BE: Floats,
        k: int,
        allowed_V: Mask | None,
        excluded_BV: sparse.csr_matrix | None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if queries_BE.ndim != 2 or queries_BE.shape[1] != self.width:
            raise ValueError(f"expected queries [B, {self.width}], got {queries_BE.shape}")
        if allowed_V is not None and allowed_V.shape != (self.size,):
            raise ValueError(f"expected allowed_V [{self.size}], got {allowed_V.shape}")
        shape = len(queries_BE), self.size
        if excluded_BV is not None and excluded_BV.shape != shape:
            raise ValueError(f"expected excluded_BV {shape}, got {excluded_BV.shape}")


def _norms(rows_NE: Floats, what: str) -> Floats:
    """How long each row is, rounded up."""
    squares_N = np.einsum("ne,ne->n", rows_NE, rows_NE, dtype=np.float64)
    wrong = np.flatnonzero(~(squares_N <= MOST_NORM**2))
    if len(wrong):
        raise ValueError(
            f"{what} {wrong[0]} is not finite or is longer than {MOST_NORM:g} "
            f"({len(wrong)} of {len(rows_NE)} are)"
        )
    return np.asarray(np.sqrt(squares_N) * (1 + 1e-6), dtype=np.float32)


def _cells(excluded_BV: sparse.csr_matrix | None, row_B: Indices) -> Indices:
    """Row of ``row_B`` · V + item of each cell that is not zero, ascending."""
    if excluded_BV is None:
        return np.zeros(0, dtype=np.int64)
    query_N, item_N = excluded_BV[row_B].nonzero()
    return np.sort(query_N.astype(np.int64) * excluded_BV.shape[1] + item_N)


def _by_query(query_P: Indices, most: int) -> Iterator[slice]:
    """Runs of whole queries with at most so many pairs, but for queries with more."""
    if len(query_P) <= most:
        return iter([slice(None)])
    start_B = np.flatnonzero(np.diff(query_P, prepend=-1))
    cuts = start_B[np.flatnonzero(np.diff(start_B // most, prepend=-1))].tolist()
    return (slice(low, high) for low, high in zip(cuts, [*cuts[1:], None], strict=True))


def best_columns(scores_V: npt.NDArray[np.floating], *, k: int) -> Indices:
    """The columns of the k highest scores, best first, ties to the lower column.

    ``-inf`` and NaN are no candidates: there may be fewer than k columns. What it finds is what a
    stable sort of all scores finds.

    Raises:
        ValueError: If k < 1.

    Example:
        >>> best_columns(np.array([1.0, 3.0, -np.inf, 3.0, 2.0]), k=3).tolist()
        [1, 3, 4]
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    near_N = np.flatnonzero(scores_V > -np.inf)  # Nor is NaN greater.
    if k < len(near_N):
        kept_N = scores_V[near_N]
        near_N = near_N[kept_N >= np.partition(kept_N, -k)[-k]]
    return np.asarray(near_N[np.argsort(-scores_V[near_N], kind="stable")[:k]])
