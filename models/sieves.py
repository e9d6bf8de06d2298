"""Coarse scores of all items, and which of them can still be among a query's k best.

How far a score can be off follows from Cauchy and Schwarz: |q·x − q'·x'| ≤ |q − q'| |x| +
|q'| |x − x'| for the rounded q' and x', whose distances are measured; then the sum's own rounding,
in any order (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1), and the result's.

Source: a floor and the maxima of blocks, as in block-max pruning of text search (Ding and Suel
2011, https://doi.org/10.1145/2009916.2010048). What differs: the maxima are not kept with the
index but made for each query, by a matrix product whose result never leaves the cache.
"""

# B queries, V items, W = V padded to tiles, E width, G blocks of J items, S spans of blocks,
# T tiles of A maxima, C items of a chunk, P (query, block) pairs, N (query, item) pairs

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BLOCK: Final = 16
TILE: Final = 1024
"""Items are padded to tiles, and bfloat16 items shuffled in them: first those that stand first in
their blocks, and so on, so that maxima of blocks are maxima of long rows, however few queries."""
SCORES_AT_ONCE: Final = 1 << 19
"""Scores between product and maxima: 1 MiB of bfloat16, half of a second cache."""
LEAST_CHUNK: Final = 2 * TILE
LEAST_QUERIES: Final = 4
"""In bfloat16 torch multiplies fewer vectors by another way, which can take twice as long."""
LEAST_NORM: Final = 2.0**-100
"""Shorter embeddings count as this long: what AMX takes for zero is small beside it."""
UNDERFLOW: Final = 2.0**-120
HALF_ULP: Final = 2.0**-8
"""Of bfloat16, relative."""
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
        rounded_WE: bfloat16, shuffled; None where float32 is as fast.
        lost: The most that rounding moved an item, as a share of its length.
    """

    size: int
    items_WE: Tensor
    norms_W: Floats
    rounded_WE: Tensor | None
    lost: float

    @classmethod
    def of(cls, items_VE: Floats, norms_V: Floats, *, is_rounded: bool) -> Self:
        """Pad, round, and measure what was lost."""
        padding = -len(items_VE) % TILE
        items_WE = torch.from_numpy(np.pad(items_VE, ((0, padding), (0, 0))))
        norms_W = np.maximum(np.pad(norms_V, (0, padding)), np.float32(LEAST_NORM))
        if not is_rounded:
            return cls(len(items_VE), items_WE, norms_W, None, 0.0)
        rounded_WE = items_WE.bfloat16()
        lost_W = torch.linalg.vector_norm(items_WE - rounded_WE.float(), dim=1).numpy() / norms_W
        tiles = rounded_WE.view(-1, TILE // BLOCK, BLOCK, items_WE.shape[1])
        shuffled_WE = tiles.transpose(1, 2).reshape(items_WE.shape)
        return cls(len(items_VE), items_WE, norms_W, shuffled_WE, float(lost_W.max()) * 1.0001)

    @cached_property
    def norms_G(self) -> Floats:
        """The length of the longest item of each block of ``BLOCK``."""
        return np.asarray(self.norms_W.reshape(-1, BLOCK).max(axis=1))

    @cached_property
    def norms_S(self) -> dict[int, Floats]:
        """The length of the longest item of each span, by the items of a span."""
        return {items: self.norms_W.reshape(-1, items).max(axis=1) for items in (256, 32, 1)}


@dataclass(frozen=True)
class Hidden:
    """What must not be found: ``row_H`` by anybody, the cells (row, query) by one query.

    Rows are items, until they are sorted for a table that has them in another order.
    """

    row_H: Indices
    cell_row_N: Indices
    cell_query_N: Indices

    def sorted(self, *, is_shuffled: bool) -> "Hidden":
        """By row."""
        row_H, cell_row_N = self.row_H, self.cell_row_N
        if is_shuffled:
            row_H, cell_row_N = shuffled(row_H), shuffled(cell_row_N)
        order = np.argsort(cell_row_N, kind="stable")
        return Hidden(np.sort(row_H), cell_row_N[order], self.cell_query_N[order])

    def put(self, scores_CB: Tensor, begin: int) -> None:
        """Set the hidden scores of the chunk that begins at this row to ``-inf``."""
        ends = begin, begin + len(scores_CB)
        low, high = np.searchsorted(self.row_H, ends)
        if low < high:
            scores_CB[torch.from_numpy(self.row_H[low:high] - begin)] = -torch.inf
        low, high = np.searchsorted(self.cell_row_N, ends)
        if low < high:
            place = torch.from_numpy(self.cell_row_N[low:high] - begin)
            scores_CB[place, torch.from_numpy(self.cell_query_N[low:high])] = -torch.inf


@dataclass(frozen=True)
class Coarse:
    """Coarse scores of all items: the highest of each block of J.

    Attributes:
        maxima_GB: float32; or the bits of bfloat16, int16, below 0 if no score is positive.
        block: J.
        error_B: How far a score can be off, as a multiple of the item's length.
        relative: And as a multiple of the score.
    """

    maxima_GB: Tensor
    block: int
    error_B: Floats
    relative: float

    @property
    def is_signless(self) -> bool:
        """Whether of a 0 nothing is known but that it is not positive."""
        return self.maxima_GB.dtype == torch.int16


@dataclass(frozen=True)
class Survivors:
    """Blocks that may hold one of a query's k best, sorted by query.

    Attributes:
        floor_B: An item below it is not among the k best; ``-inf`` where too few are left to say.
        query_P: Whose block.
        block_P: Which block: items block · J … block · J + J - 1, some of them behind the last.
        is_settled_B: Of a query that is not, nothing stands here: without a floor above 0, scores
            without a sign say nothing.
    """

    floor_B: Floats
    query_P: Indices
    block_P: Indices
    is_settled_B: Mask


def rounded_scores(
    table: Table, queries_BE: Floats, norms_B: Floats, hidden: Hidden | None
) -> Coarse:
    """Coarse scores in bfloat16, of blocks of ``BLOCK``.

    torch compares bfloat16 by way of float32, at a seventh of the speed of integers. Their bits
    compare right but where both are negative. What is hidden, and what stands behind the last item,
    is not positive.

    Args:
        table: Items, rounded.
        queries_BE: float32.
        norms_B: How long each is, at least ``LEAST_NORM``.
        hidden: What must not be found.
    """
    if table.rounded_WE is None:
        raise ValueError("this table was made without rounded items")
    hidden = hidden and hidden.sorted(is_shuffled=True)
    rounded_BE = torch.from_numpy(queries_BE).bfloat16()
    rows, width = len(table.norms_W), max(LEAST_QUERIES, len(queries_BE))
    rounded_EB = torch.zeros(queries_BE.shape[1], width, dtype=torch.bfloat16)
    rounded_EB[:, : len(queries_BE)] = rounded_BE.T
    chunk, across = _chunk(width), TILE // BLOCK * width
    scores_CB = torch.empty(min(chunk, rows), width, dtype=torch.bfloat16)
    maxima_TA = torch.empty(rows // TILE, across, dtype=torch.int16)
    parts = torch.split(table.rounded_WE, chunk), torch.split(maxima_TA, chunk // TILE)
    for at, (items_CE, into_TA) in enumerate(zip(*parts, strict=True)):
        now_CB = scores_CB[: len(items_CE)]
        torch.mm(items_CE, rounded_EB, out=now_CB)
        if hidden is not None:
            hidden.put(now_CB, at * chunk)
        bits_TJA = now_CB.view(torch.int16).view(-1, BLOCK, across)
        torch.amax(bits_TJA, dim=1, out=into_TA)
    lost_BE = queries_BE - rounded_BE.float().numpy()
    lost_B = np.sqrt(np.einsum("be,be->b", lost_BE, lost_BE)) * np.float32(1.0001)
    own = sum_error(queries_BE.shape[1]) * (1 + table.lost)
    error_B = lost_B + norms_B * np.float32((1 + HALF_ULP) * (table.lost + own))
    maxima_GB = maxima_TA.view(-1, width)[:, : len(queries_BE)].contiguous()
    return Coarse(maxima_GB, BLOCK, error_B, HALF_ULP * 1.01)


def plain_scores(
    table: Table, queries_BE: Floats, norms_B: Floats, hidden: Hidden | None, *, block: int
) -> Coarse:
    """Coarse scores in float32, of blocks of ``BLOCK`` or of 1; arguments as ``rounded_scores``."""
    hidden = hidden and hidden.sorted(is_shuffled=False)
    rows, width = len(table.norms_W), len(queries_BE)
    queries_EB = torch.from_numpy(queries_BE).T.contiguous()
    chunk = _chunk(width)
    scores_CB = torch.empty(min(chunk, rows), width)
    maxima_GB = torch.empty(rows // block, width)
    parts = torch.split(table.items_WE, chunk), torch.split(maxima_GB, chunk // block)
    for at, (items_CE, into_GB) in enumerate(zip(*parts, strict=True)):
        now_CB = into_GB if block == 1 else scores_CB[: len(items_CE)]
        torch.mm(items_CE, queries_EB, out=now_CB)
        now_CB[max(0, table.size - at * chunk) :] = -torch.inf
        if hidden is not None:
            hidden.put(now_CB, at * chunk)
        if block > 1:
            torch.amax(now_CB.view(-1, block, width), dim=1, out=into_GB)
    # At other settings torch multiplies float32 as bfloat16.
    is_full = torch.get_float32_matmul_precision() == "highest"
    own = sum_error(queries_BE.shape[1]) + (0.0 if is_full else 3 * HALF_ULP)
    return Coarse(maxima_GB, block, np.asarray(norms_B * np.float32(own)), 0.0)


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
    maxima_SGB = coarse.maxima_GB.view(-1, span, len(coarse.error_B))
    top_SB = _scores(maxima_SGB.amax(dim=1).numpy())
    error_SB = table.norms_S[items][:, None] * coarse.error_B + np.float32(UNDERFLOW)
    low_SB = top_SB * np.float32(1 - coarse.relative) - error_SB
    low_SB[top_SB <= (0.0 if coarse.is_signless else -np.inf)] = -np.inf
    floor_B = _kth_highest(low_SB, k)
    is_settled_B = (floor_B > 0) | (not coarse.is_signless)
    # Below this, a maximum is too low whatever rounding did to it; -inf always is.
    needed_SB = (floor_B - error_SB) * np.float32(1 - coarse.relative)
    needed_SB = np.maximum(needed_SB, np.float32(0.0 if coarse.is_signless else LOWEST))
    span_P, query_P = np.divmod(np.flatnonzero(top_SB >= needed_SB), len(floor_B))
    is_open_P = is_settled_B[query_P]
    span_P, query_P = span_P[is_open_P], query_P[is_open_P]
    high_PG = _scores(maxima_SGB.numpy()[span_P, :, query_P])
    found = np.flatnonzero(high_PG >= needed_SB[span_P, query_P][:, None])
    pair_P, place_P = np.divmod(found, span)
    order = np.argsort(query_P[pair_P], kind="stable")
    pair_P = pair_P[order]
    block_P = span_P[pair_P] * span + place_P[order]
    return Survivors(floor_B, query_P[pair_P], block_P, is_settled_B)


def span_items(size: int, k: int) -> int:
    """How many items make a span: of few spans, the k-th best would be a low floor."""
    for items, spans_a_result in ((256, 8), (32, 4)):
        if k * spans_a_result * items <= size:
            return items
    return 1


def shuffled(item_N: Indices) -> Indices:
    """Where items stand among the rounded ones.

    Example:
        >>> shuffled(np.array([0, 1, 16, 1024 + 17])).tolist()
        [0, 64, 1, 1089]
    """
    inside_N = item_N % TILE
    rows_N = inside_N % BLOCK * (TILE // BLOCK) + inside_N // BLOCK
    return np.asarray(item_N - inside_N + rows_N)


def sum_error(width: int) -> float:
    """How far a float32 sum of so many products is off at most, as a share of both lengths.

    Twice the bound of any order of summation, and some for the bound's own arithmetic.
    """
    return (2 * width + 16) * 2.0**-24


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


def _scores(keys: npt.NDArray[np.int16] | Floats) -> Floats:
    """Maxima, as float32."""
    if keys.dtype == np.float32:
        return np.asarray(keys, dtype=np.float32)
    return (np.maximum(keys, 0).astype(np.int32) << 16).view(np.float32)


def _kth_highest(scores_SB: Floats, k: int) -> Floats:
    """Of each column; ``-inf`` where there are fewer."""
    if len(scores_SB) < k:
        return np.full(scores_SB.shape[1], -np.inf, dtype=np.float32)
    rows_BS = np.ascontiguousarray(scores_SB.T)
    return np.asarray(np.partition(rows_BS, -k, axis=1)[:, -k])
