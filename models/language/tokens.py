"""Texts as token ids: ragged where they lie, padded where they are read."""

# R texts, N tokens of all of them, B rows of a batch, T tokens of its longest

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Encoding
from torch import Tensor

from models.rows import TensorRows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens(TensorRows):
    """B texts or pairs of texts, right-padded.

    Attributes:
        ids_BT: Token ids; 0 after the end.
        type_BT: 0 in the first text, 1 in the second.
        length_B: Real tokens of each, special ones included.
    """

    ids_BT: Tensor
    type_BT: Tensor
    length_B: Tensor

    @property
    def mask_BT(self) -> Tensor:
        """True where there is a token."""
        return (
            torch.arange(self.ids_BT.shape[1], device=self.ids_BT.device) < self.length_B[:, None]
        )

    def trimmed(self) -> "Tokens":
        """Without the columns that are padding in every row."""
        longest = int(self.length_B.max())
        return Tokens(self.ids_BT[:, :longest], self.type_BT[:, :longest], self.length_B)

    def by_length(self, parts: int) -> Iterator[tuple[Tensor, "Tokens"]]:
        """About ``parts`` parts of rows of like length, each trimmed, and which rows they are."""
        order = torch.argsort(self.length_B, stable=True)
        for rows in torch.tensor_split(order, min(parts, len(self))):
            yield rows, self.take(rows).trimmed()


@dataclass(frozen=True)
class TokenRows:
    """R texts, one after the other.

    Attributes:
        ids_N: All token ids.
        type_N: 0 in a first text, 1 in a second.
        length_R: How many belong to each text.
        begin_R: Where each begins.
    """

    ids_N: Ints
    type_N: Ints
    length_R: Ints
    begin_R: Ints

    @classmethod
    def of(cls, encodings: Sequence[Encoding]) -> Self:
        """What the tokenizers library gave."""
        length_R = np.array([len(each) for each in encodings], dtype=np.int64)
        return cls(
            np.fromiter(chain.from_iterable(each.ids for each in encodings), np.int64),
            np.fromiter(chain.from_iterable(each.type_ids for each in encodings), np.int64),
            length_R,
            np.cumsum(length_R) - length_R,
        )

    def __len__(self) -> int:
        """R."""
        return len(self.length_R)

    def padded(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Ids and types [B, T] of these rows, 0 after their ends, and their lengths [B]."""
        length_B = self.length_R[rows]
        place_T = np.arange(length_B.max())
        is_real_BT = place_T < length_B[:, None]
        at_BT = np.where(is_real_BT, self.begin_R[rows][:, None] + place_T, 0)
        ids_BT, type_BT = (
            np.where(is_real_BT, values_N[at_BT], 0) for values_N in (self.ids_N, self.type_N)
        )
        return ids_BT, type_BT, length_B

    def tokens(self, rows: Ints, device: torch.device) -> Tokens:
        """These rows, padded, on the device."""
        return Tokens(*(torch.from_numpy(each).to(device) for each in self.padded(rows)))
