"""One retriever by itself: trained before a day, and judged beside popularity on what came after.

A release is trained whole (``models.training``). This is for whoever works on one model, or wants
to see what one would do on the shop's data before it is given a place among the sources.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from domain.errors import CannotJudgeError
from domain.files import exclusive
from models.catalog import Catalog
from models.data import TrainingData
from models.device import training_threads
from models.evaluate import TASKS, Judgement, judge, make_task, paired_difference
from models.histories import user_batch_at
from models.retrieval import FitContext, Retriever, retriever_class
from models.retrieval.base import Embeddings, ProgressCall
from models.retrieval.config import RetrievalPreset
from models.splits import split_by_time

logger = logging.getLogger(__name__)

PEER: Final = "popularity"


@dataclass(frozen=True)
class Alone:
    """What one model did. ``tasks``: task → metrics with intervals; empty if nothing came after."""

    name: str
    folder: Path
    tasks: Mapping[str, Mapping[str, object]]


def train_alone(
    name: str,
    data: TrainingData,
    *,
    later: pa.Table,
    judged_until: date,
    preset: RetrievalPreset,
    folder: Path,
    text_VE: Embeddings,
    threads: int = 0,
    progress: ProgressCall,
) -> Alone:
    """Fit a retriever on ``data``, keep it in ``folder``, and judge it on what came after.

    Args:
        name: Of ``RETRIEVERS``.
        data: Everything before the cutoff.
        later: ``RETRIEVAL_EXAMPLES`` before ``judged_until``, those of ``data`` included.
        judged_until: The first day that is not judged.
        preset: Its configuration among all retrievers'.
        folder: The model's, replaced whole; a checkpoint beside it lets a killed training go on.
        text_VE: Text vectors of the catalog of ``data``.
        threads: CPU threads; 0 takes every core.
        progress: Told where the work is.

    Raises:
        BadInputError: If there is no model of that name.
    """
    catalog = Catalog.from_table(data.items)
    checkpoint = folder.parent / f".{folder.name}.checkpoint"
    with training_threads(threads), exclusive(folder.parent / f".{folder.name}.lock"):
        model: Retriever = retriever_class(name).fit(
            data.interactions,
            catalog,
            until=data.until,
            config=preset.of(name),
            context=FitContext(text_VE=text_VE, checkpoint=checkpoint, progress=progress),
        )
        model.save(folder)
        checkpoint.unlink(missing_ok=True)
    peer: Retriever = retriever_class(PEER).fit(
        data.interactions,
        catalog,
        until=data.until,
        config=preset.of(PEER),
        context=FitContext(text_VE=text_VE),
    )
    tasks = _judged(model, peer, later, catalog, since=data.until, until=judged_until)
    return Alone(name, folder, tasks)


def _judged(
    model: Retriever,
    peer: Retriever,
    later: pa.Table,
    catalog: Catalog,
    *,
    since: date,
    until: date,
) -> dict[str, dict[str, object]]:
    if until <= since:
        return {}
    found: dict[str, dict[str, object]] = {}
    try:
        split = split_by_time(later, cutoff=since, until=until)
        for name in TASKS:
            task = make_task(name, split, catalog)
            users = user_batch_at(split.train, catalog, until=since, user_ids=list(task.user_ids))
            ours, theirs = (judge(one.scores, users, task, model=one.name) for one in (model, peer))
            found[name] = {**_numbers(ours), "over_popularity": _over(ours, theirs)}
    except CannotJudgeError as error:
        logger.warning("not judged: %s", error)
    return found


def _numbers(judgement: Judgement) -> dict[str, object]:
    told = judgement.to_json()
    return {"user_count": told["user_count"], "metrics": told["metrics"]}


def _over(ours: Judgement, theirs: Judgement) -> dict[str, float]:
    """NDCG@10 more than popularity's on the same users, with its interval."""
    return paired_difference(ours.per_user, theirs.per_user).to_json()
