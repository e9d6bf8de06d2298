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

TILE: Final = 1024
"""Items are padded to tiles; a block's J items stand TILE / J rows apart in one tile, so that the
maxima of neighboring blocks are those of whole vectors."""
SIZES: Final = ((16, 8), (16, 1), (1, 1))
"""Items of a block, J, and blocks of a span."""
SCORES_AT_ONCE: Final = 1 << 20
"""Scores between product and maxima: 2 MiB in bfloat16, what a core's second cache holds."""
LEAST_CHUNK: Final = 4 * TILE
LEAST_NORM: Final = 2.0**-100
"""Shorter embeddings count as this long: what AMX takes for zero is small beside it."""
UNDERFLOW: Final = 2.0**-120
HALF_ULP: Final = 2.0**-8
"""Of bfloat16, relative."""

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
        coarse_WE: The same in bfloat16, or the same itself.
        norms_W: How long each is, at least ``LEAST_NORM``.
        lost: The most that rounding moved an item, as a share of its length.
    """

    size: int
    items_WE: Tensor
    coarse_WE: Tensor
    norms_W: Floats
    lost: float

    @classmethod
    def of(cls, items_VE: Floats, norms_V: Floats, dtype: torch.dtype) -> Self:
        """Pad, round, and measure what was lost."""
        size, padding = len(items_VE), -len(items_VE) % TILE
        items_WE = torch.from_numpy(np.pad(items_VE, ((0, padding), (0, 0))))
        norms_W = np.maximum(np.pad(norms_V, (0, padding)), np.float32(LEAST_NORM))
        coarse_WE = items_WE.to(dtype)
        lost_W = torch.linalg.vector_norm(items_WE - coarse_WE.float(), dim=1).numpy() / norms_W
        return cls(size, items_WE, coarse_WE, norms_W, float(lost_W.max()) * 1.0001)

    @property
    def is_rounded(self) -> bool:
        """Whether coarse scores are bfloat16."""
        return self.coarse_WE.dtype == torch.bfloat16

    @cached_property
    def plain(self) -> "Table":
        """The same without rounding."""
        return Table(self.size, self.items_WE, self.items_WE, self.norms_W, 0.0)

    @cached_property
    def longest(self) -> dict[tuple[int, int], tuple[Floats, Floats]]:
        """The length of the longest item of each block, [G], and of each span, [S], by sizes."""
        lengths = {}
        for block, span in SIZES:
            tiles = self.norms_W.reshape(-1, block, TILE // block)
            norms_G = tiles.max(axis=1).ravel()
            lengths[block, span] = norms_G, norms_G.reshape(-1, span).max(axis=1)
        return lengths


@dataclass(frozen=True)
class Hidden:
    """What must not be found: items ``item_H`` by anybody, cells (item, query) by one query.

    Both are sorted by item.
    """

    item_H: Indices
    cell_item_N: Indices
    cell_query_N: Indices

    def put(self, scores_CB: Tensor, begin: int) -> None:
        """Set the hidden scores of the chunk that begins at this item to ``-inf``."""
        ends = begin, begin + len(scores_CB)
        low, high = np.searchsorted(self.item_H, ends)
        if low < high:
            scores_CB[torch.from_numpy(self.item_H[low:high] - begin)] = -torch.inf
        low, high = np.searchsorted(self.cell_item_N, ends)
        if low < high:
            place = torch.from_numpy(self.cell_item_N[low:high] - begin)
            scores_CB[place, torch.from_numpy(self.cell_query_N[low:high])] = -torch.inf


@dataclass(frozen=True)
class Survivors:
    """Pairs that may be among a query's k best, sorted by query.

    Attributes:
        floor_B: An item below it is not among the k best; ``-inf`` where too few are left to say.
        query_P: Whose block.
        item_PJ: The items in it; may name rows behind the last item.
        is_settled_B: Of a query that is not, nothing is known and nothing stands here.
    """

    floor_B: Floats
    query_P: Indices
    item_PJ: Indices
    is_settled_B: Mask


def survivors(
    table: Table, queries_BE: Floats, norms_B: Floats, hidden: Hidden | None, *, k: int
) -> Survivors:
    """Take away the blocks whose maximum, at its best, is below the k-th best span at its worst.

    Args:
        table: The items.
        queries_BE: The queries.
        norms_B: How long each is, at least ``LEAST_NORM``.
        hidden: What must not be found.
        k: How many are asked.
    """
    block, span = sizes(table.size, k)
    coarse_BE = torch.from_numpy(queries_BE).to(table.coarse_WE.dtype)
    maxima_GB = coarse_maxima(table, coarse_BE, hidden, block=block)
    error_B = error_per_length(table, queries_BE, coarse_BE, norms_B)
    norms_G, norms_S = table.longest[block, span]
    top_SB = _scores(maxima_GB.view(-1, span, len(norms_B)).amax(dim=1).numpy())
    error_SB = norms_S[:, None] * error_B + np.float32(UNDERFLOW)
    low_SB = top_SB - error_SB
    low_SB[top_SB <= (0.0 if table.is_rounded else -np.inf)] = -np.inf
    floor_B = _kth_highest(low_SB, k)
    is_settled_B = np.isfinite(floor_B) | (not table.is_rounded)
    needed_B = np.where(is_settled_B, np.maximum(floor_B, np.finfo(np.float32).min), np.inf)
    span_P, query_P = np.nonzero(top_SB + error_SB >= needed_B)
    block_PG = span_P[:, None] * span + np.arange(span)
    maxima_PG = _scores(maxima_GB.numpy()[block_PG, query_P[:, None]])
    error_PG = norms_G[block_PG] * error_B[query_P, None] + np.float32(UNDERFLOW)
    pair_P, place_P = np.nonzero(maxima_PG + error_PG >= needed_B[query_P, None])
    order = np.argsort(query_P[pair_P], kind="stable")
    pair_P, place_P = pair_P[order], place_P[order]
    items_PJ = _items_of(block_PG[pair_P, place_P], block)
    return Survivors(floor_B, query_P[pair_P], items_PJ, is_settled_B)


def sizes(size: int, k: int) -> tuple[int, int]:
    """Items of a block and blocks of a span: of few spans, the k-th best is a low floor.

    Spans hold different items, so that the k-th highest of their maxima has k items at or above it.
    """
    for (block, span), spans_a_result in zip(SIZES, (8, 4), strict=False):
        if k * spans_a_result * block * span <= size:
            return block, span
    return SIZES[-1]


def coarse_maxima(table: Table, queries_BE: Tensor, hidden: Hidden | None, *, block: int) -> Tensor:
    """The highest score in each block, [G, B]; of bfloat16 the bits, and 0 for a negative score.

    torch compares bfloat16 by way of float32, at a seventh of the speed of integers. Their bits
    compare right but where both are negative. What is hidden and what stands behind the last item
    is negative.
    """
    rows, width = len(table.coarse_WE), len(queries_BE)
    kind = torch.int16 if table.is_rounded else torch.float32
    queries_EB = queries_BE.T.contiguous()
    chunk = max(LEAST_CHUNK, SCORES_AT_ONCE // width // TILE * TILE)
    scores_CB = torch.empty(min(chunk, rows), width, dtype=queries_BE.dtype)
    across = TILE // block * width
    maxima_TA = torch.empty(rows // TILE, across, dtype=kind)
    for begin in range(0, rows, chunk):
        items_CE = table.coarse_WE[begin : begin + chunk]
        end = begin + len(items_CE)
        now_CB = scores_CB[: end - begin]
        torch.mm(items_CE, queries_EB, out=now_CB)
        if end > table.size:
            now_CB[max(0, table.size - begin) :] = -torch.inf
        if hidden is not None:
            hidden.put(now_CB, begin)
        keys_TJA = now_CB.view(kind).view(-1, block, across)
        torch.amax(keys_TJA, dim=1, out=maxima_TA[begin // TILE : end // TILE])
    if table.is_rounded:
        maxima_TA.clamp_(min=0)
    return maxima_TA.view(-1, width)


def error_per_length(
    table: Table, queries_BE: Floats, coarse_BE: Tensor, norms_B: Floats
) -> Floats:
    """How far a coarse score can be off, as a multiple of the item's length. Shape [B]."""
    own = sum_error(queries_BE.shape[1])
    if not table.is_rounded:
        # At other settings torch multiplies float32 as bfloat16.
        is_full = torch.get_float32_matmul_precision() == "highest"
        return norms_B * np.float32(own + (0.0 if is_full else 3 * HALF_ULP))
    lost_BE = queries_BE - coarse_BE.float().numpy()
    lost_B = np.sqrt(np.einsum("be,be->b", lost_BE, lost_BE)) * np.float32(1.0001)
    result = (1 + own) * (1 + table.lost) * (1 + HALF_ULP) * (own + HALF_ULP)
    return lost_B + norms_B * np.float32((1 + HALF_ULP) * table.lost + result)


def sum_error(width: int) -> float:
    """How far a float32 sum of so many products is off at most, as a share of both lengths.

    Twice the bound of any order of summation, and some for the bound's own arithmetic.
    """
    return (2 * width + 16) * 2.0**-24


def fine_scores(items_WE: Tensor, queries_BE: Floats, query_N: Indices, item_N: Indices) -> Floats:
    """float32 scores of (query, item) pairs that are sorted by query, without copying items."""
    counts_B = np.bincount(query_N, minlength=len(queries_BE))
    wanted_BW = torch.sparse_csr_tensor(
        torch.from_numpy(np.concatenate([[0], np.cumsum(counts_B)])),
        torch.from_numpy(item_N),
        torch.zeros(len(item_N)),
        (len(queries_BE), len(items_WE)),
        check_invariants=False,
    )
    found = torch.sparse.sampled_addmm(
        wanted_BW, torch.from_numpy(queries_BE), items_WE.T, beta=0.0
    )
    return np.asarray(found.values().numpy())


def _items_of(block_P: Indices, block: int) -> Indices:
    """The table rows of each block: [P, J]."""
    blocks = TILE // block
    first_P = block_P // blocks * TILE + block_P % blocks
    return np.asarray(first_P[:, None] + blocks * np.arange(block))


def _scores(keys: npt.NDArray[np.int16] | Floats) -> Floats:
    """What ``coarse_maxima`` found, as float32."""
    if keys.dtype == np.float32:
        return np.asarray(keys, dtype=np.float32)
    return (keys.astype(np.int32) << 16).view(np.float32)


def _kth_highest(scores_SB: Floats, k: int) -> Floats:
    """Of each column; ``-inf`` where there are fewer."""
    if len(scores_SB) < k:
        return np.full(scores_SB.shape[1], -np.inf, dtype=np.float32)
    rows_BS = np.ascontiguousarray(scores_SB.T)
    return np.asarray(np.partition(rows_BS, -k, axis=1)[:, -k])
