"""BERT as a ranker: query and item text are read together and give one score.

Source: Nogueira and Cho 2019 (https://arxiv.org/abs/1901.04085), a cross-encoder. What differs: it
learns from every two judged items of a query (``graded_pairs``) instead of from each item alone,
and is as small as a CPU asks for. It starts from a pre-trained
``LanguageModel`` or from nothing: the same code, so that only the start differs.
"""

# L lists, C items of a list, P pairs of all lists, B rows, D width

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from domain.progress import silent
from models.device import Device, choose_device
from models.language.augmentation import Augmentation
from models.language.config import BertSize, RankerConfig
from models.language.judged import JudgedList, ndcg_of_lists
from models.language.lists import JudgedLists, ListBatch
from models.language.losses import graded_pairs
from models.language.mlm import LanguageModel
from models.language.network import bert_config, load_network, save_network, states
from models.language.tokenizer import WordPieceTokenizer
from models.language.tokens import Ints, Tokens
from models.loop import History, ProgressCall, fit
from models.quiet import quiet_torchao

logger = logging.getLogger(__name__)

VALIDATION_K: Final = 10
TRAINING_PARTS: Final = 4
"""The pairs of a batch are read in so many parts of like length: less padding."""
SCORED_ROWS: Final = 256


class CrossEncoder(nn.Module):
    """transformers' ``BertModel``, and a score of what stands at the first token."""

    def __init__(self, size: BertSize, vocabulary_size: int) -> None:
        quiet_torchao()
        from transformers import BertModel

        super().__init__()
        self.bert = BertModel(bert_config(size, vocabulary_size), add_pooling_layer=False)
        self.head = nn.Sequential(
            nn.Linear(size.width, size.width),
            nn.Tanh(),
            nn.Dropout(size.dropout),
            nn.Linear(size.width, 1),
        )

    def forward(self, tokens: Tokens) -> Tensor:
        """One score a pair: [B]."""
        scores_B: Tensor = self.head(states(self.bert, tokens)[:, 0]).squeeze(1)
        return scores_B

    def start_from(self, pretrained: LanguageModel) -> None:
        """Take over the pre-trained encoder; the head stays new."""
        self.bert.load_state_dict(pretrained.network.body.bert.state_dict())


def scores_of_pairs(network: nn.Module, pairs: Tokens, *, parts: int) -> Tensor:
    """The network's score of each pair, [P], read in parts of like length."""
    rows, scores = zip(
        *((rows, network(part)) for rows, part in pairs.by_length(parts)), strict=True
    )
    order = torch.argsort(torch.cat(rows))
    scores_P: Tensor = torch.cat(scores)[order]
    return scores_P


def list_loss(network: nn.Module, batch: ListBatch) -> Tensor:
    """``graded_pairs`` of a batch; the mean over lists."""
    scores_P = scores_of_pairs(network, batch.pairs, parts=TRAINING_PARTS).float()
    scores_LC = torch.zeros_like(batch.label_LC).masked_scatter(batch.mask_LC, scores_P)
    return graded_pairs(scores_LC, batch.label_LC, mask_LC=batch.mask_LC)


class BertRanker:
    """The trained network and what reads its texts."""

    name: ClassVar[str] = "bert_ranker"

    def __init__(
        self, network: CrossEncoder, tokenizer: WordPieceTokenizer, size: BertSize
    ) -> None:
        self.network, self.tokenizer, self.size = network, tokenizer, size

    def scores(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """One score for each (query, item text), in order: higher is better; company is no matter.

        Compare scores of one query only: across queries they mean nothing.
        """
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        device = next(self.network.parameters()).device
        rows = self.tokenizer.encode(pairs, max_tokens=self.size.max_tokens)
        order: Ints = np.argsort(rows.length_R, kind="stable")
        scores = np.zeros(len(pairs), dtype=np.float32)
        was_training = self.network.training
        self.network.eval()
        with torch.inference_mode():
            for begin in range(0, len(order), SCORED_ROWS):
                some = order[begin : begin + SCORED_ROWS]
                scores[some] = self.network(rows.tokens(some, device)).float().cpu().numpy()
        self.network.train(was_training)
        return scores

    def scores_of_lists(self, lists: Sequence[JudgedList]) -> list[npt.NDArray[np.float32]]:
        """The scores of each list's items; labels are not looked at."""
        scores = self.scores([pair for each in lists for pair in each.pairs])
        return np.split(scores, np.cumsum([len(each.item_texts) for each in lists])[:-1])

    def save(self, folder: Path) -> None:
        """Write a model folder: safetensors and JSON."""
        save_network(folder, self.network, self.tokenizer, model=self.name, size=self.size)

    @classmethod
    def load(cls, folder: Path) -> "BertRanker":
        """Read what ``save`` wrote.

        Raises:
            BadInputError: If the folder holds something else.
        """
        return cls(*load_network(folder, CrossEncoder, model=cls.name))


def train_ranker(
    lists: Sequence[JudgedList],
    tokenizer: WordPieceTokenizer,
    *,
    config: RankerConfig,
    pretrained: LanguageModel | None = None,
    augmentation: Augmentation | None = None,
    validation: Sequence[JudgedList] = (),
    checkpoint: Path | None = None,
    progress: ProgressCall = silent,
    device: Device | None = None,
) -> tuple[BertRanker, History]:
    """Fine-tune a ranker, from a pre-trained encoder or from nothing.

    Args:
        lists: Judged queries.
        tokenizer: What reads them; the pre-trained model's own, if there is one.
        config: Size, batches, loop.
        pretrained: Where the encoder starts; None starts from random weights.
        augmentation: What is done to the texts of ``lists``, and of no others; None does nothing.
        validation: Other queries; the epoch with the best NDCG@10 on them is kept.
        checkpoint: See ``models.loop.fit``.
        progress: See ``models.loop.fit``.
        device: None chooses.

    Raises:
        ValueError: If no list teaches anything, or the pre-trained model has another size or
            vocabulary.
    """
    if pretrained and (pretrained.size, pretrained.tokenizer.hash) != (config.size, tokenizer.hash):
        raise ValueError(
            f"the pre-trained model has size {pretrained.size} and a vocabulary of "
            f"{len(pretrained.tokenizer)}; expected {config.size} and the tokenizer's own"
        )
    device = device or choose_device()
    batches = JudgedLists(
        lists,
        tokenizer,
        max_tokens=config.size.max_tokens,
        batch_lists=config.batch_lists,
        seed=config.seed,
        device=device.device,
        augmentation=augmentation,
    )
    logger.info("fine-tuning on %d of %d lists", batches.list_count, len(lists))
    torch.manual_seed(config.seed)
    ranker = BertRanker(CrossEncoder(config.size, len(tokenizer)), tokenizer, config.size)
    if pretrained:
        ranker.network.start_from(pretrained)
    judged = [each for each in validation if each.is_telling]
    history = fit(
        ranker.network,
        batches,
        list_loss,
        config=config.loop,
        validate=(lambda _: _mean_ndcg(ranker, judged)) if judged else None,
        checkpoint=checkpoint,
        fingerprint=_fingerprint(lists, ranker, config=config, augmentation=augmentation),
        progress=progress,
        stage="rank",
        device=device,
    )
    return ranker, history


def _mean_ndcg(ranker: BertRanker, lists: Sequence[JudgedList]) -> float:
    return float(ndcg_of_lists(ranker.scores_of_lists(lists), lists, k=VALIDATION_K).mean())


def _fingerprint(
    lists: Sequence[JudgedList],
    ranker: BertRanker,
    *,
    config: RankerConfig,
    augmentation: Augmentation | None,
) -> str:
    """What a run depends on: the lists, the vocabulary, the first weights, the settings."""
    digest = hashlib.sha256(repr(list(lists)).encode())
    for weight in ranker.network.parameters():
        digest.update(weight.detach().cpu().numpy().tobytes())
    digest.update(ranker.tokenizer.hash.encode())
    return f"{graded_pairs.__name__}|{config}|{augmentation}|{digest.hexdigest()}"
