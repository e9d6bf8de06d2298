"""Training rows of next-item networks: every position of every history, and what came next.

All histories are two tensors on the device. A batch holds histories of like length, so that little
is padding, and about as many targets as every other.
"""

# U users' windows, B rows of a batch, T history length, P positions with a target, N negatives,
# V catalog, S steps of an epoch

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.catalog import FIRST_ITEM
from models.ranks import share
from models.retrieval.moments import Ints, ragged

LENGTH_NOISE = 0.25
"""Lengths are blurred by this share before they are sorted: other rows share a batch each epoch."""


@dataclass(frozen=True)
class PositionBatch:
    """B histories, right-padded, and the targets of their positions.

    Attributes:
        history_BT: item_index, oldest → newest, then 0.
        target_BT: The item after each; 0 where there is none.
        at_P: Where the targets are in the flattened ``target_BT``.
        negative_N: Items that every position is compared with.
    """

    history_BT: Tensor
    target_BT: Tensor
    at_P: Tensor
    negative_N: Tensor

    def __len__(self) -> int:
        """P: the loss is a mean over targets."""
        return len(self.at_P)

    @property
    def target_P(self) -> Tensor:
        """The targets alone."""
        return self.target_BT.flatten()[self.at_P]

    def share(self, number: int, of: int) -> "PositionBatch":
        """Some of the rows, with the same negatives."""
        rows = share(len(self.history_BT), number, of)
        target_BT = self.target_BT[rows]
        at_P = torch.nonzero(target_BT.flatten()).ravel()
        return PositionBatch(self.history_BT[rows], target_BT, at_P, self.negative_N)


class Positions:
    """All histories, shuffled anew each epoch: a ``models.loop.Batches``.

    Args:
        user: Whose each interaction is, in order.
        item: Its item_index, oldest → newest within a user. Unknown items are left out.
        history_length: T: what lies further back than that is in a window of its own.
        batch_targets: Targets of a batch, about.
        negatives: Drawn a batch; 0 draws none.
        draw_V: How likely each item is drawn; sums to 1.
        seed: Of order and negatives.
        device: Where the tensors live.
    """

    def __init__(
        self,
        user: Ints,
        item: Ints,
        *,
        history_length: int,
        batch_targets: int,
        negatives: int,
        draw_V: npt.NDArray[np.float64],
        seed: int,
        device: torch.device,
    ) -> None:
        known = item >= FIRST_ITEM
        user, item = user[known], item[known]
        self._begin_U, self._length_U = _windows(user, history_length)
        self._item_N = torch.from_numpy(np.append(item, 0)).to(device)
        self._batch_targets, self._negatives, self._seed = batch_targets, negatives, seed
        self.draw_V, self._device = draw_V, device
        self._cumulated_V = np.cumsum(draw_V)

    @property
    def target_count(self) -> int:
        """Targets of an epoch."""
        return int(self._length_U.sum())

    def __len__(self) -> int:
        """Batches in one epoch."""
        return max(1, math.ceil(self.target_count / self._batch_targets))

    def epoch(self, number: int) -> Iterator[PositionBatch]:
        """Batch histories of about one length, in a random order, each with its negatives."""
        generator = np.random.default_rng([self._seed, number])
        blur = 1.0 + LENGTH_NOISE * generator.uniform(-1, 1, len(self._length_U))
        order = generator.permutation(len(self._length_U))
        order = order[np.argsort((self._length_U * blur)[order], kind="stable")]
        before = np.cumsum(self._length_U[order]) - self._length_U[order]
        cuts = np.searchsorted(before, np.arange(1, len(self)) * self._batch_targets)
        batches = np.split(order, cuts)
        negative_SN = self._drawn(generator)
        for step, at in enumerate(generator.permutation(len(batches))):
            if len(batches[at]):
                yield self._batch(batches[at], negative_SN[step])

    def _drawn(self, generator: np.random.Generator) -> Tensor:
        drawn = generator.uniform(0, self._cumulated_V[-1], (len(self), self._negatives))
        item_SN = np.searchsorted(self._cumulated_V, drawn, side="right")
        return torch.from_numpy(item_SN).to(self._device)

    def _batch(self, rows: Ints, negative_N: Tensor) -> PositionBatch:
        length_B = self._length_U[rows]
        longest = int(length_B.max())
        row, place = ragged(np.zeros_like(length_B), length_B)
        at_BT = np.full((len(rows), longest), len(self._item_N) - 1)
        at_BT[row, place] = self._begin_U[rows][row] + place
        history_BT = self._item_N[torch.from_numpy(at_BT).to(self._device)]
        at_BT[row, place] += 1
        target_BT = self._item_N[torch.from_numpy(at_BT).to(self._device)]
        at_P = torch.from_numpy(row * longest + place).to(self._device)
        return PositionBatch(history_BT, target_BT, at_P, negative_N)


def _windows(user: Ints, history_length: int) -> tuple[Ints, Ints]:
    """Begin and number of targets of each window: the last of a user is full, the first may not be.

    Example:
        >>> begin, length = _windows(np.array([4, 4, 4, 4, 7, 8, 8]), history_length=2)
        >>> begin.tolist(), length.tolist()
        ([0, 1, 5], [1, 2, 1])
    """
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    targets = np.diff(np.append(starts, len(user))) - 1
    windows = -(-targets // history_length)
    window, number = ragged(np.zeros_like(windows), windows)
    end = starts[window] + targets[window] - number * history_length
    begin = np.maximum(end - history_length, starts[window])
    order = np.argsort(begin, kind="stable")
    return begin[order], (end - begin)[order]
