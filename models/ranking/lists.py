"""Ranking lists: one user's candidates at one moment with their features and labels, as arrays."""

# L lists, C candidates, F features, T history length

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from domain.files import replacing_file
from models.rows import Shuffled, TensorRows

_FIELDS: Final = ("features_LCF", "history_LT", "item_index_LC", "labels_LC")


@dataclass(frozen=True)
class RankingLists:
    """L lists, padded on the right with ``item_index`` 0.

    ``labels_LC``: 2 bought, 1 clicked or carted, 0 neither. ``features_LCF`` are raw.
    """

    features_LCF: npt.NDArray[np.float32]
    history_LT: npt.NDArray[np.int32]
    item_index_LC: npt.NDArray[np.int32]
    labels_LC: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """L."""
        return len(self.item_index_LC)

    @property
    def mask_LC(self) -> npt.NDArray[np.bool_]:
        """True where there is a candidate."""
        return np.asarray(self.item_index_LC != 0)

    def take(self, rows: npt.NDArray[np.integer]) -> "RankingLists":
        """These lists only, in this order."""
        return RankingLists(*(getattr(self, name)[rows] for name in _FIELDS))

    def with_columns(self, columns: slice) -> "RankingLists":
        """The same lists with some of their features only."""
        features_LCF = np.ascontiguousarray(self.features_LCF[:, :, columns])
        return RankingLists(features_LCF, self.history_LT, self.item_index_LC, self.labels_LC)

    def with_a_label(self) -> "RankingLists":
        """Only lists in which something was wanted: the others say nothing about order."""
        return self.take(np.flatnonzero((self.labels_LC > 0).any(axis=1)))

    def thinned(self, *, length: int, seed: int) -> "RankingLists":
        """At most ``length`` candidates a list: all wanted ones, then a random rest."""
        if self.item_index_LC.shape[1] <= length:
            return self
        drawn_LC = np.random.default_rng(seed).random(self.item_index_LC.shape)
        drawn_LC[self.labels_LC > 0] += 1.0
        drawn_LC[~self.mask_LC] -= 1.0
        kept_LK = np.sort(np.argpartition(-drawn_LC, length - 1, axis=1)[:, :length], axis=1)
        return RankingLists(
            np.take_along_axis(self.features_LCF, kept_LK[:, :, None], axis=1),
            self.history_LT,
            np.take_along_axis(self.item_index_LC, kept_LK, axis=1),
            np.take_along_axis(self.labels_LC, kept_LK, axis=1),
        )

    def save(self, path: Path) -> None:
        """Write to a safetensors file, atomically."""
        with replacing_file(path) as aside:
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in _FIELDS}, aside)

    @classmethod
    def load(cls, path: Path) -> "RankingLists":
        """Read what ``save`` wrote."""
        tensors = load_file(path)
        return cls(*(tensors[name] for name in _FIELDS))


def concatenate(parts: Sequence[RankingLists]) -> RankingLists:
    """All lists of ``parts``, padded to the longest."""
    longest = max(part.item_index_LC.shape[1] for part in parts)
    padded = [_padded(part, longest) for part in parts]
    return RankingLists(
        *(np.concatenate([getattr(part, name) for part in padded]) for name in _FIELDS)
    )


def _padded(lists: RankingLists, length: int) -> RankingLists:
    more = length - lists.item_index_LC.shape[1]
    wide = ((0, 0), (0, more))
    return RankingLists(
        np.pad(lists.features_LCF, (*wide, (0, 0))),
        lists.history_LT,
        np.pad(lists.item_index_LC, wide),
        np.pad(lists.labels_LC, wide),
    )


@dataclass(frozen=True)
class ListBatch(TensorRows):
    """Some lists as tensors on the device."""

    features_LCF: Tensor
    history_LT: Tensor
    item_index_LC: Tensor
    labels_LC: Tensor

    @property
    def mask_LC(self) -> Tensor:
        """True where there is a candidate."""
        return self.item_index_LC != 0

    def to(self, device: torch.device) -> "ListBatch":
        """The same lists on ``device``."""
        return ListBatch(*(getattr(self, name).to(device) for name in _FIELDS))


def list_batches(
    lists: RankingLists, *, batch_lists: int, seed: int, device: torch.device
) -> Shuffled[ListBatch]:
    """All lists on the device, shuffled anew each epoch."""
    tensors = [torch.from_numpy(getattr(lists, name)).to(device) for name in _FIELDS]
    return Shuffled(ListBatch(*tensors), batch_rows=batch_lists, seed=seed)
