"""Train the rankers on ranking lists; each stops when validation NDCG stops growing."""

# L lists, C candidates, F features, I item features

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from domain.progress import silent
from models import loop
from models.device import Device, choose_device
from models.ranking.config import DnnConfig, TransformerConfig, TwoTowersConfig
from models.ranking.dnn import FeatureNetwork, single
from models.ranking.judge import list_ndcg, score_batch, score_lists
from models.ranking.lists import ListBatch, RankingLists, list_batches
from models.ranking.losses import ranking_loss
from models.ranking.transformer import CandidateTransformer
from models.ranking.two_towers import TwoTowers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainContext:
    """What training may use beside the lists: see ``models.loop.fit``."""

    seed: int
    checkpoint: Path | None = None
    progress: loop.ProgressCall = silent
    device: Device | None = None

    def chosen_device(self) -> Device:
        """The given device, else the best there is."""
        return self.device or choose_device()


def fit_dnn(
    train: RankingLists,
    validation: RankingLists,
    *,
    feature_names: tuple[str, ...],
    config: DnnConfig,
    context: TrainContext,
) -> tuple[FeatureNetwork, loop.History]:
    """Train the feature network's members; the same seed, lists and machine give the same weights.

    The history is the first member's.
    """
    torch.manual_seed(context.seed)
    whole = FeatureNetwork(config, feature_names)
    histories = []
    for number in range(config.members):
        seed = context.seed + number
        torch.manual_seed(seed)
        member = FeatureNetwork(single(config), feature_names)
        member.standardize_from(train.features_LCF[train.mask_LC])
        own = replace(single(config), loop=replace(config.loop, seed=config.loop.seed + number))
        histories.append(
            _fit(
                member,
                train,
                validation,
                config=own,
                context=replace(context, seed=seed, checkpoint=_of_member(context, number)),
                stage="dnn" if config.members == 1 else f"dnn {number + 1} of {config.members}",
            )
        )
        whole.take_member(number, member.cpu())
    return whole.eval(), histories[0]


def _of_member(context: TrainContext, number: int) -> Path | None:
    """Each member's own checkpoint: a run that was killed does not train the first ones again."""
    path = context.checkpoint
    return path.with_name(f"{path.name}-{number}") if path and number else path


def fit_transformer(
    train: RankingLists,
    validation: RankingLists,
    *,
    text_VE: npt.NDArray[np.float32],
    item_columns: slice,
    config: TransformerConfig,
    context: TrainContext,
) -> tuple[CandidateTransformer, loop.History]:
    """Train the transformer; ``item_columns``: which features are the item's own."""
    torch.manual_seed(context.seed)
    train, validation = (lists.with_columns(item_columns) for lists in (train, validation))
    count = train.features_LCF.shape[2]
    transformer = CandidateTransformer(config, torch.from_numpy(text_VE), count)
    transformer.standardize_from(torch.from_numpy(train.features_LCF[train.mask_LC]))
    history = _fit(
        transformer, train, validation, config=config, context=context, stage="transformer"
    )
    return transformer.cpu(), history


def fit_two_towers(
    train: RankingLists,
    validation: RankingLists,
    *,
    text_VE: npt.NDArray[np.float32],
    sources: Sequence[str],
    config: TwoTowersConfig,
    context: TrainContext,
) -> tuple[TwoTowers, loop.History]:
    """Train both towers on the lists' features; ``sources``: whose features the lists hold."""
    torch.manual_seed(context.seed)
    count = train.features_LCF.shape[2]
    towers = TwoTowers(config, torch.from_numpy(text_VE), feature_count=count, sources=sources)
    towers.standardize_from(train.features_LCF[train.mask_LC])
    history = _fit(towers, train, validation, config=config, context=context, stage="two_towers")
    return towers.cpu(), history


def _fit(
    model: nn.Module,
    train: RankingLists,
    validation: RankingLists,
    *,
    config: DnnConfig | TransformerConfig | TwoTowersConfig,
    context: TrainContext,
    stage: str,
) -> loop.History:
    device = context.chosen_device()
    batches = list_batches(
        train, batch_lists=config.batch_lists, seed=context.seed, device=device.device
    )

    def loss(network: nn.Module, batch: ListBatch) -> Tensor:
        return ranking_loss(
            score_batch(network, batch),
            batch.labels_LC,
            mask_LC=batch.mask_LC,
            pointwise_weight=config.pointwise_weight,
        )

    def validate(network: nn.Module) -> float:
        return list_ndcg(score_lists(network, validation), validation.labels_LC)

    return loop.fit(
        model,
        batches,
        loss,
        config=config.loop,
        validate=validate,
        checkpoint=context.checkpoint,
        fingerprint=_fingerprint(train, config),
        progress=context.progress,
        stage=stage,
        device=device,
    )


def _fingerprint(
    lists: RankingLists, config: DnnConfig | TransformerConfig | TwoTowersConfig
) -> str:
    digest = hashlib.sha256(repr(config).encode())
    digest.update(lists.item_index_LC.tobytes())
    digest.update(lists.labels_LC.tobytes())
    return digest.hexdigest()
