"""Item and query embeddings in steps of int8, and how far rounding moved each.

Source: scores of 8 bits as in Guo et al. 2020 (Accelerating Large-Scale Inference with Anisotropic
Vector Quantization, https://arxiv.org/abs/1908.10396). What differs: what rounding lost is measured
and kept, so that ``models/sieves.py`` loses no item by it; and steps count from a centre.
"""

# B queries, V items, W = V padded to tiles, E width, G blocks, S spans, C items of a chunk,
# H hidden rows

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

BLOCK: Final = 16
TILE: Final = 1024
"""Items are padded to tiles, and rounded items shuffled in them: first those that stand first in
their blocks, and so on, so that maxima of blocks are maxima of long rows, however few queries."""
SPANS: Final = (256, 32)
"""Items of a span: several blocks."""
LEAST_NORM: Final = 2.0**-100
"""Shorter embeddings count as this long: what float32 takes for zero is small beside it."""
STEPS: Final = 127
"""An int8 counts from -127 to 127 steps."""
RESCALED: Final = 2.0**-20
"""What float32 may lose in measuring an item, in a rounded score and in its floor, as a share of
both lengths: each takes 2^-23 at most."""
MOST_WIDTH: Final = (2**31 - 1) // STEPS**2
"""Of wider vectors int32 could not hold the product."""
CENTRE_ROWS: Final = 4096
CHUNK: Final = 64 * TILE


@cache
def multiplies_bytes(width: int) -> bool:
    """Whether torch multiplies int8 vectors of this width fast, and exactly, on this CPU.

    Without VNNI the sums of pairs may stop at 32,767 (oneDNN says so of AVX2 and AVX-512), and
    torch promises nothing of a product whose name begins with an underscore: so it is asked.
    """
    if width > MOST_WIDTH or not torch.cpu.get_capabilities().get("avx512_vnni"):
        return False
    most_CE = torch.full((TILE, width), STEPS, dtype=torch.int8)
    most_CE[1::2] = -STEPS
    exact_C = most_CE.long().sum(dim=1, keepdim=True) * STEPS
    for rows in (1, 2, BLOCK):
        found_CB = torch._int_mm(most_CE, torch.full((width, rows), STEPS, dtype=torch.int8))
        if not torch.equal(found_CB.long(), exact_C.expand(-1, rows)):
            return False
    return True


@dataclass(frozen=True)
class Rounded:
    """Items in int8, as steps away from a centre that all queries share.

    q·x = q·c + q·(x − c): the first part is the same for every item of a query, and the second is
    of shorter vectors wherever embeddings lie to one side of 0.

    Attributes:
        items_WE: int8, shuffled (``shuffled``).
        step_G: float32, how much one step is in each block.
        centre_E: float64, c, of float32.
        far: By the items of a span, how far the farthest of each span is from the centre.
        lost: And the most that rounding moved one of them.
        behind_H: Rows of ``items_WE`` behind the last item.
        beside_H: Those of them that share a block with the last item.
    """

    items_WE: Tensor
    step_G: Tensor
    centre_E: npt.NDArray[np.float64]
    far: Mapping[int, Floats]
    lost: Mapping[int, Floats]
    behind_H: Indices
    beside_H: Tensor

    @classmethod
    def of(cls, items_WE: Tensor, size: int) -> Self:
        """Round the first ``size`` rows, and measure what was lost."""
        width = items_WE.shape[1]
        some_NE = items_WE[: size : max(1, size // CENTRE_ROWS)]
        centre_E = some_NE.median(dim=0).values
        rounded_WE = torch.empty(items_WE.shape, dtype=torch.int8)
        step_G = torch.empty(len(items_WE) // BLOCK)
        far_W, lost_W = torch.empty(len(items_WE)), torch.empty(len(items_WE))
        for begin in range(0, len(items_WE), CHUNK):
            some = slice(begin, begin + CHUNK)
            from_CE = items_WE[some] - centre_E
            from_CE[max(0, size - begin) :] = 0
            most_G = from_CE.view(-1, BLOCK * width).abs().amax(dim=1)
            step_g = (most_G / STEPS).clamp(min=LEAST_NORM)
            step_C = step_g.repeat_interleave(BLOCK)[:, None]
            steps_CE = (from_CE / step_C).round_().clamp_(-STEPS, STEPS)
            far_W[some] = _distances(from_CE)
            lost_W[some] = _distances(from_CE - steps_CE * step_C) + RESCALED * far_W[some]
            step_G[begin // BLOCK :][: len(step_g)] = step_g
            tiles = steps_CE.to(torch.int8).view(-1, TILE // BLOCK, BLOCK, width)
            rounded_WE[some] = tiles.transpose(1, 2).reshape(-1, width)
        far, lost = (
            {each: longest(row_W.numpy(), each) for each in SPANS} for row_W in (far_W, lost_W)
        )
        behind_H = shuffled(np.arange(size, len(items_WE)))
        beside_H = torch.from_numpy(behind_H[: -size % BLOCK])
        return cls(rounded_WE, step_G, centre_E.double().numpy(), far, lost, behind_H, beside_H)


@dataclass(frozen=True)
class RoundedQueries:
    """Queries in int8, a step of its own for each; scores are counted in these steps.

    Attributes:
        steps_EB: int8.
        unit_B: float64, how much one step is.
        length_B: float32, in steps: of the rounded query.
        lost_B: And how far rounding moved it.
    """

    steps_EB: Tensor
    unit_B: npt.NDArray[np.float64]
    length_B: Floats
    lost_B: Floats

    @classmethod
    def of(cls, queries_BE: Floats) -> Self:
        """Round, and measure what was lost."""
        wide_BE = queries_BE.astype(np.float64)
        unit_B = np.maximum(np.abs(wide_BE).max(axis=1) / STEPS, LEAST_NORM)
        wide_BE /= unit_B[:, None]
        steps_BE = np.rint(wide_BE)
        # A copy, no view: of one row [1, B] with strides (1, 1), as a transposed column has them,
        # torch 2.13 multiplies what lies behind it.
        steps_EB = torch.from_numpy(steps_BE.T.astype(np.int8, order="C"))
        lost_B = _lengths(wide_BE - steps_BE)
        return cls(steps_EB, unit_B, _lengths(steps_BE), lost_B)


def shuffled(item_N: Indices) -> Indices:
    """Where items stand among the rounded ones.

    Example:
        >>> shuffled(np.array([0, 1, 16, 1024 + 17])).tolist()
        [0, 64, 1, 1089]
    """
    inside_N = item_N % TILE
    rows_N = inside_N % BLOCK * (TILE // BLOCK) + inside_N // BLOCK
    return np.asarray(item_N - inside_N + rows_N)


def longest(lengths_W: Floats, items: int) -> Floats:
    """Of each so many."""
    return np.asarray(lengths_W.reshape(-1, items).max(axis=1))


def _lengths(rows_NE: npt.NDArray[np.float64]) -> Floats:
    return np.asarray(np.sqrt(np.einsum("ne,ne->n", rows_NE, rows_NE)), dtype=np.float32)


def _distances(rows_CE: Tensor) -> Tensor:
    """How long each row is, at least ``LEAST_NORM``."""
    wide_C: Tensor = torch.linalg.vector_norm(rows_CE, dim=1, dtype=torch.float64)
    return wide_C.float().clamp_(min=LEAST_NORM)
