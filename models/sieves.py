"""Coarse scores of all items, and which of them can still be among a query's k best.

How far a score can be off follows from Cauchy and Schwarz: |q·x − q'·x'| ≤ |q − q'| |x| +
|q'| |x − x'| for the rounded q' and x', whose distances are measured; then the sum's own rounding,
in any order (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1), and the result's.

Source: a floor and the maxima of blocks, as in block-max pruning of text search (Ding and Suel
2011, https://doi.org/10.1145/2009916.2010048). What differs: the maxima are not kept with the index
but made for each query, by a product whose result never leaves the cache, and what rounding may
have done (``models/rounded.py``) is part of the floor.
"""

# B queries, V items, W = V padded to tiles, E width, G blocks of J items, S spans of blocks,
# T tiles of A maxima, C items of a chunk, P (query, block) pairs, N (query, item) pairs

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.rounded import (
    BLOCK,
    LEAST_NORM,
    SPANS,
    TILE,
    Floats,
    Indices,
    Rounded,
    RoundedQueries,
    longest,
    shuffled,
)

Mask = npt.NDArray[np.bool_]
Wide = npt.NDArray[np.float64]

SCORES_AT_ONCE: Final = 1 << 18
"""Scores between product and maxima: 1 MiB, half of a second cache or all of it."""
LEAST_CHUNK: Final = 2 * TILE
UNDERFLOW: Final = 2.0**-120
MOST_LEFT: Final = 32
"""Of a query, one in so many blocks may survive rounding."""
HIDDEN: Final = int(np.iinfo(np.int32).min)
LOWEST: Final = float(np.finfo(np.float32).min)

with warnings.catch_warnings():
    # torch says once a process that CSR tensors are in beta; sampled_addmm is all we use of them.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1))


@dataclass(frozen=True)
class Table:
    """Items as the sieves want them: W rows, zeros behind the last item.

    Attributes:
        size: V.
        items_WE: float32.
        norms_W: How long each is, at least ``LEAST_NORM``.
        rounded: None where the CPU does not multiply int8 faster.
    """

    size: int
    items_WE: Tensor
    norms_W: Floats
    rounded: Rounded | None

    @classmethod
    def of(cls, items_VE: Floats, norms_V: Floats, *, is_rounded: bool) -> Self:
        """Pad, and round if that is wanted."""
        padding = -len(items_VE) % TILE
        items_WE = torch.from_numpy(np.pad(items_VE, ((0, padding), (0, 0))))
        norms_W = np.maximum(np.pad(norms_V, (0, padding)), np.float32(LEAST_NORM))
        rounded = Rounded.of(items_WE, len(items_VE)) if is_rounded else None
        return cls(len(items_VE), items_WE, norms_W, rounded)

    @cached_property
    def norms_G(self) -> Floats:
        """The length of the longest item of each block of ``BLOCK``."""
        return longest(self.norms_W, BLOCK)

    @cached_property
    def norms_S(self) -> dict[int, Floats]:
        """The length of the longest item of each span, by the items of a span."""
        return {items: longest(self.norms_W, items) for items in (*SPANS, 1)}


@dataclass(frozen=True)
class Hidden:
    """What must not be found: ``row_H`` by anybody, the cells (row, query) by one query.

    Rows are items, until they are sorted for a table that has them in another order.
    """

    row_H: Indices
    cell_row_N: Indices
    cell_query_N: Indices

    @classmethod
    def sorted(cls, hidden: Self | None, behind_H: Indices, *, is_shuffled: bool) -> Self:
        """By row, with what stands behind the last item."""
        if hidden is None:
            return cls(np.sort(behind_H), behind_H[:0], behind_H[:0])
        row_H, cell_row_N = hidden.row_H, hidden.cell_row_N
        if is_shuffled:
            row_H, cell_row_N = shuffled(row_H), shuffled(cell_row_N)
        order = np.argsort(cell_row_N, kind="stable")
        row_H = np.sort(np.concatenate([row_H, behind_H]))
        return cls(row_H, cell_row_N[order], hidden.cell_query_N[order])

    def put(self, scores_CB: Tensor, begin: int, lowest: float) -> bool:
        """Set the hidden scores of the chunk that begins at this row to the lowest; if any are."""
        ends = begin, begin + len(scores_CB)
        low, high = np.searchsorted(self.row_H, ends)
        if low < high:
            scores_CB[torch.from_numpy(self.row_H[low:high] - begin)] = lowest
        first, last = np.searchsorted(self.cell_row_N, ends)
        if first < last:
            place = torch.from_numpy(self.cell_row_N[first:last] - begin)
            scores_CB[place, torch.from_numpy(self.cell_query_N[first:last])] = lowest
        return bool(low < high or first < last)


@dataclass(frozen=True)
class Coarse:
    """Coarse scores of all items: the highest of each block of J.

    Attributes:
        maxima_GB: float32, ``-inf`` where all of a block is hidden.
        block: J.
        is_rounded: Whether scores of rounded vectors: there is a better way, so they may give up.
        errors: How far a score can be off: the sum of a length of its span, by the items of a
            span, times what each query makes of it.
        unit_B: float64, what is counted in scores.
        centre_B: float64, what every inner product of a query has and no score, or a little less.
    """

    maxima_GB: Tensor
    block: int
    is_rounded: bool
    errors: tuple[tuple[Mapping[int, Floats], Floats], ...]
    unit_B: Wide
    centre_B: Wide

    def error_SB(self, items: int) -> Floats:
        """How far a score can be off in each span of so many items."""
        parts = [length[items][:, None] * factor_B for length, factor_B in self.errors]
        return np.asarray(sum(parts) + np.float32(UNDERFLOW))

    def floor(self, floor_B: Floats) -> Floats:
        """A floor under scores as one under inner products.

        float32 rounds it by less than it rounds the scores that are compared with it.
        """
        return np.asarray(floor_B * self.unit_B + self.centre_B, dtype=np.float32)


@dataclass(frozen=True)
class Survivors:
    """Blocks that may hold one of a query's k best, sorted by query.

    Attributes:
        floor_B: An item below it is not among the k best; ``-inf`` where too few are left to say.
        query_P: Whose block.
        block_P: Which block: items block · J … block · J + J - 1, some of them behind the last.
        is_settled_B: Of a query that is not, nothing stands here: rounding left too much open.
    """

    floor_B: Floats
    query_P: Indices
    block_P: Indices
    is_settled_B: Mask


def rounded_scores(
    table: Table, queries_BE: Floats, norms_B: Floats, hidden: Hidden | None
) -> Coarse:
    """Coarse scores in int8, of blocks of ``BLOCK``; sums of int8 products are exact in int32.

    Args:
        table: Items, rounded.
        queries_BE: float32.
        norms_B: How long each is, at least ``LEAST_NORM``.
        hidden: What must not be found.
    """
    rounded = table.rounded
    if rounded is None:
        raise ValueError("this table was made without rounded items")
    queries = RoundedQueries.of(queries_BE)
    hidden = Hidden.sorted(hidden, rounded.behind_H, is_shuffled=True)
    rows, width = len(table.norms_W), len(queries_BE)
    chunk, across = _chunk(width), TILE // BLOCK * width
    scores_CB = torch.empty(min(chunk, rows), width, dtype=torch.int32)
    most_TA = torch.empty(min(chunk, rows) // TILE, across, dtype=torch.int32)
    maxima_GB = torch.empty(rows // BLOCK, width)
    parts = (
        torch.split(rounded.items_WE, chunk),
        torch.split(rounded.step_G[:, None], chunk // BLOCK),
        torch.split(maxima_GB, chunk // BLOCK),
    )
    for at, (items_CE, step_G1, into_GB) in enumerate(zip(*parts, strict=True)):
        now_CB, now_TA = scores_CB[: len(items_CE)], most_TA[: len(items_CE) // TILE]
        torch._int_mm(items_CE, queries.steps_EB, out=now_CB)
        is_hidden = hidden.put(now_CB, at * chunk, HIDDEN)
        torch.amax(now_CB.view(-1, BLOCK, across), dim=1, out=now_TA)
        torch.mul(now_TA.view(-1, width), step_G1, out=into_GB)
        if is_hidden:
            into_GB.masked_fill_(now_TA.view(-1, width) == HIDDEN, -torch.inf)
    errors = (rounded.far, queries.lost_B), (rounded.lost, queries.length_B)
    centre_E = rounded.centre_E
    summed = 2.0**-40 * float(np.linalg.norm(centre_E))  # At most, of so many float64.
    centre_B = queries_BE.astype(np.float64) @ centre_E - norms_B * summed
    return Coarse(
        maxima_GB, BLOCK, is_rounded=True, errors=errors, unit_B=queries.unit_B, centre_B=centre_B
    )


def nearest(table: Table, query_E: Floats, hidden: Hidden | None, *, k: int) -> Indices | None:
    """The items that may be among one query's k best; None where rounding leaves too many.

    What ``rounded_scores`` and ``survivors`` do, in fewer steps: after the product has gone through
    the caches, each takes microseconds. All scores are kept, so that items are sieved as well.

    Args:
        table: Items, rounded; more than fit into one span.
        query_E: float32, not zero.
        hidden: What must not be found.
        k: How many are asked.
    """
    rounded = table.rounded
    if rounded is None:
        raise ValueError("this table was made without rounded items")
    items = span_items(table.size, k)
    query = RoundedQueries.of(query_E[None])
    scores_W = torch._int_mm(rounded.items_WE, query.steps_EB)
    if hidden is not None:
        Hidden.sorted(hidden, rounded.behind_H, is_shuffled=True).put(scores_W, 0, HIDDEN)
    elif len(rounded.beside_H):
        scores_W[rounded.beside_H] = HIDDEN
    scores_TJA = scores_W.view(-1, BLOCK, TILE // BLOCK)
    most_G = torch.amax(scores_TJA, dim=1).view(-1)
    maxima_G = most_G * rounded.step_G
    if hidden is not None:
        maxima_G.masked_fill_(most_G == HIDDEN, -torch.inf)
    maxima_G[-(-table.size // BLOCK) :] = -torch.inf
    maxima_SG = maxima_G.view(-1, items // BLOCK)
    top_S = torch.amax(maxima_SG, dim=1).numpy()
    error_S = rounded.far[items] * query.lost_B + rounded.lost[items] * query.length_B
    floor = np.partition(top_S - error_S, -k)[-k]
    needed_S = np.maximum(floor - error_S, np.float32(LOWEST))
    near_S = np.flatnonzero(top_S >= needed_S)
    span_P, place_P = np.nonzero(maxima_SG.numpy()[near_S] >= needed_S[near_S, None])
    span_P = near_S[span_P]
    block_P = span_P * (items // BLOCK) + place_P
    if len(block_P) > most_left(k, len(maxima_G)):
        return None
    tile_P, across_P = np.divmod(block_P, TILE // BLOCK)
    scores_PJ = scores_TJA.numpy()[tile_P, :, across_P] * rounded.step_G.numpy()[block_P, None]
    pair_N, place_N = np.nonzero(scores_PJ >= needed_S[span_P, None])
    return np.asarray(block_P[pair_N] * BLOCK + place_N)


def plain_scores(
    table: Table, queries_BE: Floats, norms_B: Floats, hidden: Hidden | None, *, block: int
) -> Coarse:
    """Coarse scores in float32, of blocks of ``BLOCK`` or of 1; arguments as ``rounded_scores``."""
    rows, width = len(table.norms_W), len(queries_BE)
    hidden = Hidden.sorted(hidden, np.arange(table.size, rows), is_shuffled=False)
    queries_EB = torch.from_numpy(queries_BE).T.contiguous()
    chunk = _chunk(width)
    scores_CB = torch.empty(min(chunk, rows), width)
    maxima_GB = torch.empty(rows // block, width)
    parts = torch.split(table.items_WE, chunk), torch.split(maxima_GB, chunk // block)
    for at, (items_CE, into_GB) in enumerate(zip(*parts, strict=True)):
        now_CB = into_GB if block == 1 else scores_CB[: len(items_CE)]
        torch.mm(items_CE, queries_EB, out=now_CB)
        hidden.put(now_CB, at * chunk, -torch.inf)
        if block > 1:
            torch.amax(now_CB.view(-1, block, width), dim=1, out=into_GB)
    error_B = np.asarray(norms_B * np.float32(sum_error(table.items_WE.shape[1])))
    return Coarse(
        maxima_GB,
        block,
        is_rounded=False,
        errors=((table.norms_S, error_B),),
        unit_B=np.ones(width),
        centre_B=np.zeros(width),
    )


def survivors(table: Table, coarse: Coarse, *, k: int) -> Survivors:
    """Take away the blocks whose maximum, at its best, is below the k-th best span at its worst.

    Args:
        table: The items.
        coarse: Their scores.
        k: How many are asked.

    Spans hold different items, so that the k-th highest of their maxima has k items at or above it.
    """
    items = span_items(table.size, k)
    span = max(1, items // coarse.block)
    queries = coarse.maxima_GB.shape[1]
    maxima_SGB = coarse.maxima_GB.view(-1, span, queries)
    top_SB = maxima_SGB.amax(dim=1).numpy()
    error_SB = coarse.error_SB(items)
    floor_B = _kth_highest(top_SB - error_SB, k)
    # Below this, a maximum is too low whatever rounding did to it; -inf always is.
    needed_SB = np.maximum(floor_B - error_SB, np.float32(LOWEST))
    span_P, query_P = np.divmod(np.flatnonzero(top_SB >= needed_SB), queries)
    high_PG = maxima_SGB.numpy()[span_P, :, query_P]
    found = np.flatnonzero(high_PG >= needed_SB[span_P, query_P][:, None])
    pair_P, place_P = np.divmod(found, span)
    query_P, block_P = query_P[pair_P], span_P[pair_P] * span + place_P
    is_settled_B = np.ones(queries, dtype=bool)
    if coarse.is_rounded:
        most = most_left(k, len(coarse.maxima_GB))
        is_settled_B = np.bincount(query_P, minlength=queries) <= most
        query_P, block_P = query_P[is_settled_B[query_P]], block_P[is_settled_B[query_P]]
    order = np.argsort(query_P, kind="stable")
    return Survivors(coarse.floor(floor_B), query_P[order], block_P[order], is_settled_B)


def most_left(k: int, blocks: int) -> int:
    """Of more blocks than that, the float32 scores of all items come cheaper."""
    return max(4 * k, blocks // MOST_LEFT)


def span_items(size: int, k: int) -> int:
    """How many items make a span: of few spans, the k-th best would be a low floor."""
    for items, spans_a_result in zip(SPANS, (8, 4), strict=True):
        if k * spans_a_result * items <= size:
            return items
    return 1


def sum_error(width: int) -> float:
    """How far a float32 sum of so many products is off at most, as a share of both lengths.

    Twice the bound of any order of summation, and some for the bound's own arithmetic.
    """
    # At other settings torch multiplies float32 as bfloat16, which has eight binary places.
    is_full = torch.get_float32_matmul_precision() == "highest"
    return (2 * width + 16) * 2.0**-24 + (0.0 if is_full else 3 * 2.0**-8)


def fine_scores(items_WE: Tensor, queries_BE: Floats, query_P: Indices, item_PJ: Indices) -> Floats:
    """float32 scores of each query's items, [P, J]; sorted by query. Copies no item."""
    counts_B = np.bincount(query_P, minlength=len(queries_BE)) * item_PJ.shape[1]
    wanted_BW = torch.sparse_csr_tensor(
        torch.from_numpy(np.concatenate([[0], np.cumsum(counts_B)])),
        torch.from_numpy(item_PJ.ravel()),
        torch.zeros(item_PJ.size),
        (len(queries_BE), len(items_WE)),
        check_invariants=False,
    )
    found = torch.sparse.sampled_addmm(
        wanted_BW, torch.from_numpy(queries_BE), items_WE.T, beta=0.0
    )
    return np.asarray(found.values().numpy().reshape(item_PJ.shape))


def _chunk(queries: int) -> int:
    return max(LEAST_CHUNK, SCORES_AT_ONCE // queries // TILE * TILE)


def _kth_highest(scores_SB: Floats, k: int) -> Floats:
    """Of each column; ``-inf`` where there are fewer."""
    if len(scores_SB) < k:
        return np.full(scores_SB.shape[1], -np.inf, dtype=np.float32)
    rows_BS = np.ascontiguousarray(scores_SB.T)
    return np.asarray(np.partition(rows_BS, -k, axis=1)[:, -k])
