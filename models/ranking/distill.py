"""Train a small ranking transformer on a large one's scores and the labels, and prune it."""

# L lists, C candidates, V catalog, D width

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models import loop
from models.catalog import FIRST_ITEM
from models.ranking.config import SmallerConfig, TransformerConfig
from models.ranking.judge import list_ndcg, score_batch, score_lists
from models.ranking.lists import ListBatch, RankingLists
from models.ranking.losses import distillation, ranking_loss
from models.ranking.train import TrainContext
from models.ranking.transformer import CandidateTransformer
from models.rows import Shuffled

DISTILLED: Final = "distilled"
MENDED: Final = "mended"


@dataclass(frozen=True)
class TaughtBatch(ListBatch):
    """Some lists with the teacher's scores of them, 0 at padding."""

    teacher_LC: Tensor


@dataclass(frozen=True)
class Lesson:
    """What a student learns from: lists of item features alone, and the teacher's scores.

    ``teacher_LC``: of ``train``; ``-inf`` at padding, as ``score_lists`` gives them.
    """

    train: RankingLists
    validation: RankingLists
    teacher_LC: npt.NDArray[np.float32]

    def batches(self, *, batch_lists: int, context: TrainContext) -> Shuffled[TaughtBatch]:
        """All lists on the device, shuffled anew each epoch."""
        teacher_LC = np.where(self.train.mask_LC, self.teacher_LC, 0.0).astype(np.float32)
        lists = self.train
        arrays = (lists.features_LCF, lists.history_LT, lists.item_index_LC, lists.labels_LC)
        device = context.chosen_device().device
        tensors = [torch.from_numpy(each).to(device) for each in (*arrays, teacher_LC)]
        return Shuffled(TaughtBatch(*tensors), batch_rows=batch_lists, seed=context.seed)


def lesson_of(
    teacher: CandidateTransformer,
    train: RankingLists,
    validation: RankingLists,
    *,
    item_columns: slice,
) -> Lesson:
    """Let the teacher score the training lists; ``item_columns``: which features it sees."""
    train, validation = (lists.with_columns(item_columns) for lists in (train, validation))
    return Lesson(train, validation, score_lists(teacher, train))


def fit_student(
    teacher: CandidateTransformer,
    lesson: Lesson,
    *,
    config: SmallerConfig,
    context: TrainContext,
) -> tuple[CandidateTransformer, loop.History]:
    """Train the student from scratch; ``label_share`` 1 learns from the labels alone."""
    torch.manual_seed(context.seed)
    shape = TransformerConfig(
        width=config.width,
        heads=config.heads,
        blocks=config.blocks,
        dropout=teacher.config.dropout,
        pointwise_weight=teacher.config.pointwise_weight,
        batch_lists=teacher.config.batch_lists,
        loop=config.loop,
    )
    student = CandidateTransformer(shape, teacher.text_VE, teacher.item_feature_count)
    student.mean_I.copy_(teacher.mean_I)
    student.scale_I.copy_(teacher.scale_I)
    history = _fit(student, lesson, config, context, stage=DISTILLED, schedule=config.loop)
    return student.cpu(), history


def prune_and_mend(
    student: CandidateTransformer,
    lesson: Lesson,
    *,
    config: SmallerConfig,
    context: TrainContext,
) -> loop.History:
    """Prune in place, then train what is left; what was pruned stays 0."""
    prune_items(student, config.pruned_share)
    with held_at_zero(student.ids.weight):
        history = _fit(student, lesson, config, context, stage=MENDED, schedule=config.mending)
    student.cpu()
    return history


def prune_items(transformer: CandidateTransformer, share: float) -> None:
    """Set the id embeddings of least norm to 0: these items are known by text and features alone.

    Pruned are whole rows, and of the one table that holds most of the bytes. Single weights of
    least magnitude would leave as many bytes to be kept and as many products to be made.

    Raises:
        ValueError: If ``share`` is not in [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the share to prune must be in [0, 1], got {share}")
    with torch.no_grad():
        norms = transformer.ids.weight[FIRST_ITEM:].norm(dim=1)
        # A stable order: of equal norms the first item goes first, on every machine.
        least = torch.argsort(norms, stable=True)[: round(share * len(norms))]
        transformer.ids.weight[FIRST_ITEM + least] = 0.0


@contextmanager
def held_at_zero(weight: Tensor) -> Iterator[None]:
    """Keep the rows of ``weight`` that are 0 now at 0 in training.

    Their gradients are 0, so AdamW's moments stay 0, and weight decay of 0 is 0. The optimizer must
    be a new one.
    """
    is_kept_R1 = (weight.detach() != 0).any(dim=1, keepdim=True)
    hook = weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * is_kept_R1.to(gradient.device)
    )
    try:
        yield
    finally:
        hook.remove()


def _fit(
    student: CandidateTransformer,
    lesson: Lesson,
    config: SmallerConfig,
    context: TrainContext,
    *,
    stage: str,
    schedule: loop.LoopConfig,
) -> loop.History:
    shape = student.config

    def loss(network: nn.Module, batch: TaughtBatch) -> Tensor:
        scores_LC = score_batch(network, batch)
        mask_LC, level = batch.mask_LC, shape.pointwise_weight
        told = ranking_loss(scores_LC, batch.labels_LC, mask_LC=mask_LC, pointwise_weight=level)
        taught = distillation(scores_LC, batch.teacher_LC, mask_LC=mask_LC, pointwise_weight=level)
        return config.label_share * told + (1.0 - config.label_share) * taught

    def validate(network: nn.Module) -> float:
        return list_ndcg(score_lists(network, lesson.validation), lesson.validation.labels_LC)

    return loop.fit(
        student,
        lesson.batches(batch_lists=shape.batch_lists, context=context),
        loss,
        config=schedule,
        validate=validate,
        checkpoint=context.checkpoint and context.checkpoint.with_suffix(f".{stage}"),
        fingerprint=_fingerprint(lesson, config),
        progress=context.progress,
        stage=stage,
        device=context.chosen_device(),
    )


def _fingerprint(lesson: Lesson, config: SmallerConfig) -> str:
    digest = hashlib.sha256(repr(config).encode())
    for array in (lesson.train.item_index_LC, lesson.train.labels_LC, lesson.teacher_LC):
        digest.update(array.tobytes())
    return digest.hexdigest()
