"""The next item, foretold at every position of every history: SASRec as it is trained today.

Source: SASRec (Kang and McAuley 2018, https://arxiv.org/abs/1808.09781), with the sampled softmax
and pre-norm blocks of eSASRec (https://arxiv.org/abs/2508.06450). What differs:

- An item is its id embedding plus its projected text embedding (``ItemEmbedding``).
- Rotary positions in place of learned ones, so that where a history is cut off does not matter.
- Histories longer than the network sees give several windows rather than losing their beginnings.
- Negatives are shared by a batch of histories of like length (``positions``).

``SequenceRetriever`` is the one for a shop, whose orders hold many items at one moment and whose
buyers come back for the same ones. This one knows an order of single interactions and no more.
"""

# B users, T history length, D width, P positions, V catalog

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.device import Device, choose_device
from models.dropout import dropout
from models.evaluate import ScoresFunction
from models.histories import require_before
from models.loop import History, LoopConfig, fit
from models.retrieval.base import FitContext, Scores, fingerprint, hide_non_items
from models.retrieval.config import NextItemConfig
from models.retrieval.moments import Events, Ints
from models.retrieval.network import Block, ItemEmbedding, by_length, moved_left, rotations
from models.retrieval.positions import PositionBatch, Positions
from models.softmax import full_softmax, sampled_softmax
from models.weights import arrays_of, put_arrays

logger = logging.getLogger(__name__)

T = TypeVar("T")


class HistoryNetwork(nn.Module):
    """Histories in, a state after every item out; a score is a state times an item's vector.

    What is between them is a subclass's ``forward``.
    """

    def __init__(
        self, config: NextItemConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.items = ItemEmbedding(catalog_size, config.width, text_VE)

    def entered(self, tokens_BTD: Tensor) -> Tensor:
        """The items' vectors as a layer takes them: of unit size, some of it dropped."""
        scaled_BTD = tokens_BTD * self.config.width**0.5
        return dropout(scaled_BTD, self.config.dropout, self.training)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """The state after each item: [B, T, D].

        Args:
            tokens_BTD: The items' vectors, oldest → newest; what stands to the right of a position
                does not reach it.
        """
        raise NotImplementedError

    def last_states(self, history_BT: Tensor, items_VD: Tensor) -> Tensor:
        """The state after the newest item: [B, D]; of a row without items it means nothing.

        Args:
            history_BT: item_index, oldest → newest, left-padded with 0.
            items_VD: What ``items()`` gives.
        """
        groups = by_length((history_BT > 0).sum(dim=1))
        if not groups:
            return items_VD[:0]
        last_BD = torch.cat([self._last(history_BT[rows], items_VD) for rows in groups])
        return last_BD[torch.argsort(torch.cat(groups))]

    def _last(self, history_BT: Tensor, items_VD: Tensor) -> Tensor:
        lengths_B = (history_BT > 0).sum(dim=1)
        states_BTD = self(items_VD[moved_left(history_BT, lengths_B)])
        rows_B = torch.arange(len(history_BT), device=history_BT.device)
        last_BD: Tensor = states_BTD[rows_B, (lengths_B - 1).clamp(min=0)]
        return last_BD


class NextItemNetwork(HistoryNetwork):
    """Causal transformer blocks."""

    def __init__(
        self, config: NextItemConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        super().__init__(config, catalog_size, text_VE)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """The state after each item: [B, T, D]; see ``HistoryNetwork``."""
        x_BTD = self.entered(tokens_BTD)
        rotation = rotations(x_BTD.shape[1], self.config.width // self.config.heads, x_BTD.device)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotation)
        states_BTD: Tensor = self.norm(x_BTD)
        return states_BTD


class NextItemRetriever:
    """The trained network. Who has no known item in the history gets no opinion."""

    name: ClassVar[str] = "next_item"
    config_class: ClassVar[type[NextItemConfig]] = NextItemConfig
    network_class: ClassVar[type[HistoryNetwork]] = NextItemNetwork

    def __init__(self, network: HistoryNetwork, history: History | None = None) -> None:
        self.network = network.eval()
        self.history = history or History()

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: NextItemConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Train on every next item before ``until``; ``context.validate`` stops it early.

        ``context.text_VE`` gives the items their texts; without it they are ids alone.
        """
        require_before(examples, until)
        context = context or FitContext()
        device = choose_device()
        events = Events.of(examples, catalog)
        positions = positions_of(
            events.user, events.item, catalog_size=len(catalog), config=config, device=device
        )
        torch.manual_seed(config.seed)
        text = None if context.text_VE is None else torch.from_numpy(context.text_VE)
        network = cls.network_class(config, len(catalog), text)
        history = fit(
            network,
            positions,
            make_loss(config, positions.draw_V, device),
            config=config.loop,
            validate=_shown(context.validate),
            watch=_shown(context.watch),
            checkpoint=context.checkpoint,
            fingerprint=fingerprint(config, events.user, events.item, text_VE=context.text_VE),
            progress=context.progress,
            stage=cls.name,
            device=device,
        )
        network.items.bake()
        return cls(network.cpu(), history)

    def scores(self, batch: UserBatch) -> Scores:
        """One logit per item; shape [B, V]."""
        return network_scores(self.network, batch)

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        content = {"config": asdict(self.network.config), "history": self.history.to_json()}
        save_model(folder, model=self.name, config=content, tensors=arrays_of(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        fields = dict(artifact.config["config"])  # type: ignore[call-overload]
        config = cls.config_class(**fields | {"loop": LoopConfig(**fields["loop"])})
        network = cls.network_class(config, len(artifact.tensors["items.ids"]))
        put_arrays(network, artifact.tensors)
        return cls(network, History.from_json(artifact.config["history"]))


def network_scores(network: HistoryNetwork, batch: UserBatch) -> Scores:
    """The network's logits for a batch, wherever the network lives."""
    history_BT = known_items(batch.history_BT)[:, -network.config.history_length :]
    device = network.items.ids.device
    with torch.inference_mode():
        items_VD = network.items()
        states_BD = network.last_states(torch.from_numpy(history_BT).to(device), items_VD)
        logits_BV: Scores = (states_BD @ items_VD.T).float().cpu().numpy()
    logits_BV[(history_BT == 0).all(axis=1)] = -np.inf
    return hide_non_items(logits_BV)


def known_items(history_BT: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The same histories without unknown items, left-padded again.

    Example:
        >>> known_items(np.array([[0, 5, 1, 6]], dtype=np.int32)).tolist()
        [[0, 0, 5, 6]]
    """
    is_known_BT = history_BT >= FIRST_ITEM
    order_BT = np.argsort(is_known_BT, axis=1, kind="stable")
    moved_BT = np.take_along_axis(history_BT * is_known_BT, order_BT, axis=1)
    return moved_BT.astype(np.int64)


def draw_shares(
    item_N: npt.NDArray[np.int64], catalog_size: int, *, power: float
) -> npt.NDArray[np.float64]:
    """How likely a negative is each item: its count to the power; 0 draws all alike. Sums to 1."""
    count_V = np.bincount(item_N, minlength=catalog_size).astype(np.float64)
    weight_V = np.where(count_V > 0, count_V, 0.5) ** power
    weight_V[:FIRST_ITEM] = 0.0
    return np.asarray(weight_V / weight_V.sum())


def positions_of(
    user: Ints, item: Ints, *, catalog_size: int, config: NextItemConfig, device: Device
) -> Positions:
    """The training rows of interactions in order: by user, oldest → newest."""
    return Positions(
        user,
        item,
        history_length=config.history_length,
        batch_targets=config.batch_targets,
        negatives=config.negatives,
        draw_V=draw_shares(item, catalog_size, power=config.negative_power),
        seed=config.seed,
        device=device.device,
    )


def make_loss(
    config: NextItemConfig, draw_V: npt.NDArray[np.float64], device: Device
) -> Callable[[nn.Module, PositionBatch], Tensor]:
    """Cross-entropy over the drawn negatives, or over the whole catalog where none are drawn."""
    expected_V = np.maximum(draw_V * config.negatives, 1e-12)
    log_q_V = torch.from_numpy(np.log(expected_V)).float().to(device.device)

    def loss(module: nn.Module, batch: PositionBatch) -> Tensor:
        network: HistoryNetwork = module  # type: ignore[assignment]
        history_R, target_P = batch.history_BT.flatten(), batch.target_P
        if not config.negatives:
            items_VD = network.items()
            tokens_BTD = functional.embedding(batch.history_BT, items_VD)
            states_PD = functional.embedding(batch.at_P, network(tokens_BTD).flatten(0, 1))
            return full_softmax(states_PD, items_VD, target_P)
        sizes = [len(history_R), len(target_P), len(batch.negative_N)]
        rows_RD = network.items.rows(torch.cat([history_R, target_P, batch.negative_N]))
        tokens_RD, wanted_PD, negatives_ND = torch.split(rows_RD, sizes)
        tokens_BTD = tokens_RD.view(*batch.history_BT.shape, -1)
        return sampled_softmax(
            functional.embedding(batch.at_P, network(tokens_BTD).flatten(0, 1)),
            wanted_PD,
            negatives_ND,
            target_P=target_P,
            negative_N=batch.negative_N,
            log_q_V=log_q_V,
        )

    return loss


def _shown(call: Callable[[ScoresFunction], T] | None) -> Callable[[nn.Module], T] | None:
    """What is called with a way to score users, called with a network."""
    if call is None:
        return None
    return lambda network: call(lambda batch: network_scores(network, batch))  # type: ignore[arg-type]
