"""Training rows as tensors on the device: some of them, a share of them, all of them shuffled."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from models.ranks import share


@dataclass(frozen=True)
class TensorRows:
    """The base of a batch whose fields are tensors with one row each: a ``models.steps.Batch``."""

    def __len__(self) -> int:
        """Rows."""
        first: Tensor = getattr(self, fields(self)[0].name)
        return len(first)

    def take(self, rows: Tensor | slice) -> Self:
        """These rows only, in this order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def share(self, number: int, of: int) -> Self:
        """Some of the rows: see ``ranks.share``."""
        return self.take(share(len(self), number, of))


R = TypeVar("R", bound=TensorRows)


class Shuffled(Generic[R]):
    """All rows, in a new order each epoch: a ``models.loop.Batches``."""

    def __init__(self, everything: R, *, batch_rows: int, seed: int) -> None:
        self._all, self._batch_rows, self._seed = everything, batch_rows, seed

    def __len__(self) -> int:
        """Batches in one epoch."""
        return math.ceil(len(self._all) / self._batch_rows)

    def epoch(self, number: int) -> Iterator[R]:
        """The batches of one epoch, the last one smaller."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._all))
        for rows in torch.split(torch.from_numpy(order), self._batch_rows):
            yield self._all.take(rows)
