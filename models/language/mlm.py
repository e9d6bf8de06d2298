"""Pre-training: hide words of the shop's own texts and learn to tell which they were.

Source: BERT's masked language model (Devlin et al. 2019, https://arxiv.org/abs/1810.04805): of each
text 15 % of the words are asked about; 80 % of those are hidden, 10 % replaced by any word, 10 %
left. What differs: new masks in every epoch, as RoBERTa does (https://arxiv.org/abs/1907.11692); no
next-sentence task; pairs of a query and an item's text take the place of pairs of sentences; only
the asked positions pass the output layer; batches hold texts of like length.
"""

# B rows, T tokens, P asked positions, D width, V vocabulary

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from domain.progress import silent
from models.device import Device, choose_device
from models.language.config import BertSize, PretrainingConfig
from models.language.network import bert_config, load_network, save_network, states
from models.language.tokenizer import FIRST_WORD, MASK, PAD, Text, WordPieceTokenizer
from models.language.tokens import Ints, TokenRows, Tokens
from models.loop import History, ProgressCall, fit
from models.quiet import quiet_torchao
from models.ranks import share

logger = logging.getLogger(__name__)

HIDDEN_SHARE: Final = 0.8
REPLACED_SHARE: Final = 0.1


def masked(
    ids_BT: Ints, *, mask_share: float, vocabulary_size: int, generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """Ids with words hidden, and what was asked about: the word, 0 elsewhere; both [B, T].

    Of each row the share of its words, rounded, and one at least. Special tokens, unknown words and
    padding are never asked about.
    """
    can_BT = ids_BT >= FIRST_WORD
    count_B = np.maximum(1, np.rint(mask_share * can_BT.sum(axis=1)))
    drawn_BT = np.where(can_BT, generator.random(ids_BT.shape), np.inf)
    place_BT = drawn_BT.argsort(axis=1).argsort(axis=1)
    is_asked_BT = can_BT & (place_BT < count_B[:, None])
    fate_BT = generator.random(ids_BT.shape)
    is_hidden_BT = is_asked_BT & (fate_BT < HIDDEN_SHARE)
    is_replaced_BT = is_asked_BT & ~is_hidden_BT & (fate_BT < HIDDEN_SHARE + REPLACED_SHARE)
    any_word_BT = generator.integers(FIRST_WORD, vocabulary_size, ids_BT.shape)
    given_BT = np.where(is_hidden_BT, MASK, np.where(is_replaced_BT, any_word_BT, ids_BT))
    return given_BT, np.where(is_asked_BT, ids_BT, PAD)


@dataclass(frozen=True)
class MaskedBatch:
    """Texts with hidden words, and what was asked about.

    Attributes:
        tokens: What the network is given.
        target_BT: The asked words; 0 where nothing is asked.
        at_P: Where they are in the flattened ``target_BT``.
    """

    tokens: Tokens
    target_BT: Tensor
    at_P: Tensor

    @classmethod
    def of(cls, tokens: Tokens, target_BT: Tensor) -> "MaskedBatch":
        """With the asked positions found."""
        return cls(tokens, target_BT, torch.nonzero(target_BT.flatten()).ravel())

    def __len__(self) -> int:
        """P: the loss is a mean over what was asked."""
        return len(self.at_P)

    @property
    def target_P(self) -> Tensor:
        """The asked words alone."""
        return self.target_BT.flatten()[self.at_P]

    def share(self, number: int, of: int) -> "MaskedBatch":
        """Some of the rows."""
        rows = share(len(self.target_BT), number, of)
        return MaskedBatch.of(self.tokens.take(rows), self.target_BT[rows])


class MaskedTexts:
    """Texts with new masks every epoch, in batches of like length: a ``models.loop.Batches``.

    Args:
        rows: The texts; those without a word are left out, for there is nothing to ask.
        mask_share: Of a text's words.
        vocabulary_size: V.
        batch_tokens: Real tokens of a batch, about.
        seed: Of order and masks.
        device: Where the tensors live.

    Raises:
        ValueError: If no text has a word.
    """

    def __init__(
        self,
        rows: TokenRows,
        *,
        mask_share: float,
        vocabulary_size: int,
        batch_tokens: int,
        seed: int,
        device: torch.device,
    ) -> None:
        # A text's special tokens are always there: no text is without a token.
        is_word_N = (rows.ids_N >= FIRST_WORD).astype(np.int64)
        self._kept = np.flatnonzero(np.add.reduceat(is_word_N, rows.begin_R) if len(rows) else ())
        if not len(self._kept):
            raise ValueError(f"none of {len(rows)} texts has a word to learn from")
        self._rows, self._mask_share, self._vocabulary_size = rows, mask_share, vocabulary_size
        self._batch_tokens, self._seed, self._device = batch_tokens, seed, device

    @property
    def text_count(self) -> int:
        """Texts of an epoch."""
        return len(self._kept)

    def __len__(self) -> int:
        """Batches in one epoch."""
        total = int(self._rows.length_R[self._kept].sum())
        return max(1, math.ceil(total / self._batch_tokens))

    def epoch(self, number: int) -> Iterator[MaskedBatch]:
        """Texts of one length or nearly, in a random order of lengths, masked anew."""
        generator = np.random.default_rng([self._seed, number])
        order = generator.permutation(self._kept)
        order = order[np.argsort(self._rows.length_R[order], kind="stable")]
        before = np.cumsum(self._rows.length_R[order]) - self._rows.length_R[order]
        cuts = np.searchsorted(before, np.arange(1, len(self)) * self._batch_tokens)
        batches = np.split(order, cuts)
        for at in generator.permutation(len(batches)):
            if len(batches[at]):
                yield self._batch(batches[at], generator)

    def _batch(self, rows: Ints, generator: np.random.Generator) -> MaskedBatch:
        ids_BT, type_BT, length_B = self._rows.padded(rows)
        given_BT, target_BT = masked(
            ids_BT,
            mask_share=self._mask_share,
            vocabulary_size=self._vocabulary_size,
            generator=generator,
        )
        given, types, lengths, target = (
            torch.from_numpy(each).to(self._device)
            for each in (given_BT, type_BT, length_B, target_BT)
        )
        return MaskedBatch.of(Tokens(given, types, lengths), target)


class MaskedLanguageNetwork(nn.Module):
    """transformers' ``BertForMaskedLM``, asked at chosen positions only."""

    def __init__(self, size: BertSize, vocabulary_size: int) -> None:
        quiet_torchao()
        from transformers import BertForMaskedLM

        super().__init__()
        self.body = BertForMaskedLM(bert_config(size, vocabulary_size))

    def forward(self, tokens: Tokens, at_P: Tensor) -> Tensor:
        """Logits over the vocabulary at the positions of the flattened rows: [P, V]."""
        states_BTD = states(self.body.bert, tokens)
        logits_PV: Tensor = self.body.cls(states_BTD.flatten(0, 1)[at_P])
        return logits_PV


def masked_loss(network: nn.Module, batch: MaskedBatch) -> Tensor:
    """Mean cross-entropy of the asked words; a scalar."""
    logits_PV = network(batch.tokens, batch.at_P)
    return functional.cross_entropy(logits_PV.float(), batch.target_P)


class LanguageModel:
    """A pre-trained network, its tokenizer and its size: where a ranker can start from."""

    name: ClassVar[str] = "masked_language_model"

    def __init__(
        self, network: MaskedLanguageNetwork, tokenizer: WordPieceTokenizer, size: BertSize
    ) -> None:
        self.network, self.tokenizer, self.size = network, tokenizer, size

    def save(self, folder: Path) -> None:
        """Write a model folder: safetensors and JSON."""
        save_network(folder, self.network, self.tokenizer, model=self.name, size=self.size)

    @classmethod
    def load(cls, folder: Path) -> "LanguageModel":
        """Read what ``save`` wrote.

        Raises:
            BadInputError: If the folder holds something else.
        """
        return cls(*load_network(folder, MaskedLanguageNetwork, model=cls.name))


def pretrain(
    texts: Sequence[Text],
    tokenizer: WordPieceTokenizer,
    *,
    config: PretrainingConfig,
    held_out: Sequence[Text] = (),
    checkpoint: Path | None = None,
    progress: ProgressCall = silent,
    device: Device | None = None,
) -> tuple[LanguageModel, History]:
    """Learn a masked language model from texts.

    Args:
        texts: Item texts, queries, pairs of both; never those that it will be judged by.
        tokenizer: What reads them.
        config: Size, masks, loop.
        held_out: Texts whose hidden words are guessed after each epoch; the best epoch is kept.
            ``History.validation`` is the geometric mean of the right words' probabilities.
        checkpoint: See ``models.loop.fit``.
        progress: See ``models.loop.fit``.
        device: None chooses.

    Raises:
        ValueError: If no text has a word.
    """
    device = device or choose_device()
    everything = _batches(texts, tokenizer, config=config, device=device)
    logger.info("pre-training on %d of %d texts", everything.text_count, len(texts))
    asked = (
        list(_batches(held_out, tokenizer, config=config, device=device).epoch(0))
        if held_out
        else []
    )
    torch.manual_seed(config.seed)
    network = MaskedLanguageNetwork(config.size, len(tokenizer))
    history = fit(
        network,
        everything,
        masked_loss,
        config=config.loop,
        validate=(lambda model: math.exp(-_mean_loss(model, asked))) if asked else None,
        checkpoint=checkpoint,
        fingerprint=f"{config}|{tokenizer.hash}|{_digest(texts)}",
        progress=progress,
        stage="pretrain",
        device=device,
    )
    return LanguageModel(network, tokenizer, config.size), history


def _batches(
    texts: Sequence[Text],
    tokenizer: WordPieceTokenizer,
    *,
    config: PretrainingConfig,
    device: Device,
) -> MaskedTexts:
    return MaskedTexts(
        tokenizer.encode(texts, max_tokens=config.size.max_tokens),
        mask_share=config.mask_share,
        vocabulary_size=len(tokenizer),
        batch_tokens=config.batch_tokens,
        seed=config.seed,
        device=device.device,
    )


def _mean_loss(network: nn.Module, batches: Sequence[MaskedBatch]) -> float:
    total = sum(float(masked_loss(network, batch)) * len(batch) for batch in batches)
    return total / sum(len(batch) for batch in batches)


def _digest(texts: Sequence[Text]) -> str:
    return hashlib.sha256(repr(list(texts)).encode()).hexdigest()
