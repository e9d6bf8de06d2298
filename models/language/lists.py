"""Judged queries as the training rows of a ranker, their texts changed anew in every epoch."""

# L lists, C items of a list, P pairs of all lists, T tokens

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.language.augmentation import Augmentation, augmented
from models.language.judged import JudgedList
from models.language.tokenizer import WordPieceTokenizer
from models.language.tokens import Tokens
from models.rows import TensorRows


@dataclass(frozen=True)
class ListBatch(TensorRows):
    """L queries with their items.

    Attributes:
        ids_LCT: Token ids of each pair; 0 after its end.
        type_LCT: 0 in the query, 1 in the item's text.
        length_LC: Real tokens of each pair; 0 where there is no item.
        label_LC: At least 0.
    """

    ids_LCT: Tensor
    type_LCT: Tensor
    length_LC: Tensor
    label_LC: Tensor

    @property
    def mask_LC(self) -> Tensor:
        """True where there is an item."""
        return self.length_LC > 0

    @property
    def pairs(self) -> Tokens:
        """The P pairs that there are, list by list."""
        mask_LC = self.mask_LC
        return Tokens(self.ids_LCT[mask_LC], self.type_LCT[mask_LC], self.length_LC[mask_LC])


class JudgedLists:
    """Judged lists in batches of like length: a ``models.loop.Batches``.

    Args:
        lists: Those with one item, or no order better than another, teach nothing and are left out.
        tokenizer: What reads them.
        max_tokens: T at most.
        batch_lists: L.
        seed: Of order and augmentation.
        device: Where the tensors live.
        augmentation: What is done to texts, anew in every epoch; None does nothing.

    Raises:
        ValueError: If no list teaches anything.
    """

    def __init__(
        self,
        lists: Sequence[JudgedList],
        tokenizer: WordPieceTokenizer,
        *,
        max_tokens: int,
        batch_lists: int,
        seed: int,
        device: torch.device,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._lists = [each for each in lists if each.is_telling]
        if not self._lists:
            raise ValueError(f"none of {len(lists)} lists has items of different labels")
        self._tokenizer, self._max_tokens = tokenizer, max_tokens
        self._batch_lists, self._seed, self._device = batch_lists, seed, device
        self._augmentation = augmentation
        self._length_L = np.array([max(map(len, each.item_texts)) for each in self._lists])

    @property
    def list_count(self) -> int:
        """Lists of an epoch."""
        return len(self._lists)

    def __len__(self) -> int:
        """Batches in one epoch."""
        return math.ceil(len(self._lists) / self._batch_lists)

    def epoch(self, number: int) -> Iterator[ListBatch]:
        """The batches of one epoch; lists whose texts are about as long share one."""
        generator = np.random.default_rng([self._seed, number])
        blurred_L = self._length_L * generator.uniform(0.8, 1.2, len(self._length_L))
        order = np.argsort(blurred_L, kind="stable")
        batches = np.split(order, range(self._batch_lists, len(order), self._batch_lists))
        for at in generator.permutation(len(batches)):
            yield self._batch([self._text(row, number) for row in batches[at]])

    def _text(self, row: int, epoch: int) -> JudgedList:
        if self._augmentation is None:
            return self._lists[row]
        # Seeded by list and epoch: a text does not depend on which others are there.
        generator = random.Random(f"{self._seed}/{epoch}/{row}")
        return augmented(self._lists[row], augmentation=self._augmentation, generator=generator)

    def _batch(self, lists: Sequence[JudgedList]) -> ListBatch:
        pairs = [pair for each in lists for pair in each.pairs]
        rows = self._tokenizer.encode(pairs, max_tokens=self._max_tokens)
        ids_PT, type_PT, length_P = rows.padded(np.arange(len(rows)))
        count_L = np.array([len(each.labels) for each in lists])
        is_item_LC = np.arange(count_L.max()) < count_L[:, None]
        label_P = np.concatenate([each.labels for each in lists]).astype(np.float32)
        return ListBatch(
            *(
                torch.from_numpy(_spread(each, is_item_LC)).to(self._device)
                for each in (ids_PT, type_PT, length_P, label_P)
            )
        )


def _spread(
    values_P: npt.NDArray[np.generic], is_item_LC: npt.NDArray[np.bool_]
) -> npt.NDArray[np.generic]:
    """One value (or row) of each item in its list's place; zeros elsewhere."""
    spread = np.zeros((*is_item_LC.shape, *values_P.shape[1:]), dtype=values_P.dtype)
    spread[is_item_LC] = values_P
    return spread
