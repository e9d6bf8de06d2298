"""The sequence retriever: trains ``SequenceNetwork`` on moments, answers from a ``UserBatch``.

Trained on everything before a validation window at the end (by time); the prior is of the cutoff
itself, so that the last days count although no target lies in them.
"""

# B users, T history length, V catalog, K priors

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn

from domain.errors import CannotJudgeError
from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.device import Device, choose_device
from models.evaluate import ScoresFunction
from models.histories import day_number, require_before
from models.loop import History, LoopConfig, fit
from models.losses import any_and_new_loss, sampled_columns
from models.retrieval.base import FitContext, Scores, fingerprint, hide_non_items
from models.retrieval.config import SequenceConfig
from models.retrieval.moments import Events, MomentBatch, Moments, Priors
from models.retrieval.network import SequenceNetwork
from models.validation import Validation
from models.weights import arrays_of, put_arrays

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SequenceRetriever:
    """The trained network and the popularity prior of its cutoff."""

    name: ClassVar[str] = "sequence"

    def __init__(
        self,
        network: SequenceNetwork,
        prior_KV: npt.NDArray[np.float32],
        history: History | None = None,
    ) -> None:
        self.network = network.eval()
        self.prior_KV = prior_KV
        self.history = history or History()

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: SequenceConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Train with early stopping on the last ``validation_days`` before ``until``.

        Those days are not learned from. Once the best number of epochs is known, fit again with
        ``validation_days=0`` and that many: on the real shop that is worth .03 NDCG on new items,
        for the newest ones are in the last days. ``context.text_VE`` gives the items their texts;
        without it they are ids alone.
        """
        require_before(examples, until)
        context = context or FitContext()
        device = choose_device()
        validate = make_validation(examples, catalog, until=until, config=config, device=device)
        learn_until = until - timedelta(days=config.validation_days if validate else 0)
        seen = examples.filter(
            pa.compute.less(examples.column("event_date"), pa.scalar(learn_until))
        )
        events = Events.of(seen, catalog)
        moments = Moments(
            events,
            until=learn_until,
            catalog_size=len(catalog),
            config=config,
            device=device.device,
        )
        torch.manual_seed(config.seed)
        text = None if context.text_VE is None else torch.from_numpy(context.text_VE)
        network = SequenceNetwork(config, len(catalog), text)
        prior_KV = _prior_before(examples, catalog, until=until, config=config)
        history = fit(
            network,
            moments,
            make_loss(events, len(catalog), config, device),
            config=config.loop,
            validate=validate,
            watch=_shown(context.watch, prior_KV),
            checkpoint=context.checkpoint,
            fingerprint=fingerprint(
                config, events.user, events.item, events.day, events.weight, text_VE=context.text_VE
            ),
            progress=context.progress,
            stage="sequence",
            device=device,
        )
        network.items.bake()
        return cls(network.cpu(), prior_KV, history)

    def scores(self, batch: UserBatch) -> Scores:
        """One logit per item; shape [B, V]."""
        return hide_non_items(network_scores(self.network, batch, self.prior_KV))

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        weights = arrays_of(self.network)
        content = {"config": asdict(self.network.config), "history": self.history.to_json()}
        save_model(
            folder, model=self.name, config=content, tensors={**weights, "prior_KV": self.prior_KV}
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        tensors = dict(artifact.tensors)
        prior_KV = tensors.pop("prior_KV").astype(np.float32)
        network = SequenceNetwork(_config(artifact.config["config"]), prior_KV.shape[1])
        put_arrays(network, tensors)
        return cls(network, prior_KV, History.from_json(artifact.config["history"]))


def network_scores(
    network: SequenceNetwork, batch: UserBatch, prior_KV: npt.NDArray[np.float32]
) -> Scores:
    """The network's logits for a batch, wherever the network lives."""
    device = network.bias_V.device
    with torch.inference_mode():
        logits_BV: Scores = (
            network(
                torch.from_numpy(batch.history_BT.astype(np.int64)).to(device),
                torch.from_numpy(batch.bought_BV.toarray().astype(np.float32)).to(device),
                torch.from_numpy(prior_KV)[None].to(device),
            )
            .cpu()
            .numpy()
        )
    return logits_BV


def make_loss(
    events: Events, catalog_size: int, config: SequenceConfig, device: Device
) -> Callable[[nn.Module, MomentBatch], Tensor]:
    """Full softmax where the catalog is small, else negatives shared by the batch with log-q."""
    if catalog_size <= config.full_softmax_items:
        logger.info("full softmax over %d items", catalog_size)
        return lambda network, batch: any_and_new_loss(
            network(batch.history_BT, batch.bought_BV, batch.prior_BKV),
            batch.wanted_BV,
            batch.bought_BV,
            new_weight=config.new_weight,
        )
    logger.info("sampled softmax: %d shared negatives of %d", config.negatives, catalog_size)
    counts_V = np.bincount(events.item, minlength=catalog_size) + 1.0
    counts_V[:FIRST_ITEM] = 0.0
    share_V = torch.from_numpy(counts_V / counts_V.sum()).float().to(device.device)

    def loss(network: nn.Module, batch: MomentBatch) -> Tensor:
        # Drawn from the global generator, which the loop seeds by epoch: a resumed run draws alike.
        columns_C, log_q_C = sampled_columns(batch.wanted_BV, share_V, negatives=config.negatives)
        logits_BC = network(batch.history_BT, batch.bought_BV, batch.prior_BKV, columns_C)
        return any_and_new_loss(
            logits_BC - log_q_C,
            batch.wanted_BV[:, columns_C],
            batch.bought_BV[:, columns_C],
            new_weight=config.new_weight,
        )

    return loss


def make_validation(
    examples: pa.Table, catalog: Catalog, *, until: date, config: SequenceConfig, device: Device
) -> Callable[[nn.Module], float] | None:
    """Geometric mean of both tasks' NDCG@10 at the end; None if there is too little."""
    if config.validation_days == 0:
        return None
    cutoff = until - timedelta(days=config.validation_days)
    try:
        validation = Validation.of(examples, catalog, cutoff=cutoff, until=until)
    except CannotJudgeError as error:
        logger.info("no early stopping: %s", error)
        return None
    prior_KV = _prior_before(validation.train, catalog, until=cutoff, config=config)
    return _shown(validation.score, prior_KV)


def _shown(
    call: Callable[[ScoresFunction], T] | None, prior_KV: npt.NDArray[np.float32]
) -> Callable[[nn.Module], T] | None:
    """What is called with a way to score users, called with a network."""
    if call is None:
        return None
    return lambda network: call(
        lambda batch: hide_non_items(network_scores(network, batch, prior_KV))  # type: ignore[arg-type]
    )


def _prior_before(
    examples: pa.Table, catalog: Catalog, *, until: date, config: SequenceConfig
) -> npt.NDArray[np.float32]:
    """What popularity says at the end of the last day before ``until``: [K, V]."""
    events = Events.of(examples, catalog)
    priors = Priors(events, until=until, catalog_size=len(catalog), config=config)
    return np.asarray(priors.at(np.array([day_number(until) - 1]))[0])


def _config(content: object) -> SequenceConfig:
    fields = dict(content)  # type: ignore[call-overload]
    fields["loop"] = LoopConfig(**fields["loop"])
    fields["prior_half_lives_days"] = tuple(fields["prior_half_lives_days"])
    return SequenceConfig(**fields)
