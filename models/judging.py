"""A finished run against what happened after its cutoff: every model on the same users.

The retrieval sources rank the whole catalog; the rankers rank the candidates that serving would
give them, and what was not retrieved cannot be found. ``release`` is what the serving pipeline
would have answered.
"""

# B users, C candidates, V catalog

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.clock import midnight
from domain.errors import CannotJudgeError
from domain.schemas import TIMESTAMP
from models.batch import UserBatch
from models.candidates import Candidates
from models.catalog import FIRST_ITEM
from models.evaluate import TASKS, Judgement, Task, judge, judge_lists, make_task
from models.ranking.items import ItemMatrix
from models.ranking.prepare import Join
from models.recommender import Ranked, Recommender, scatter
from models.splits import split_by_time

logger = logging.getLogger(__name__)

RANKERS: Final[Mapping[str, str]] = {
    "dnn": "dnn_BC",
    "transformer": "transformer_BC",
    "fusion": "scores_BC",
}
RELEASE: Final = "release"

Recommend = Callable[[Sequence[str], str], pa.Table]
"""``recommend(user_ids, task)`` → ``RECOMMENDATIONS``: the serving pipeline's batch function."""


@dataclass(frozen=True)
class Judged:
    """All models on all tasks. ``label``: ``purchase``, or ``interaction`` where too few bought."""

    judgements: tuple[Judgement, ...]
    label: str


def judge_run(
    model: Recommender,
    interactions: pa.Table,
    *,
    since: date,
    until: date,
    join: Join,
    recommend: Recommend | None = None,
) -> Judged:
    """Judge all models of a run on [since, until), both tasks.

    Args:
        model: The run.
        interactions: ``RETRIEVAL_EXAMPLES`` before ``until``.
        since: The run's cutoff.
        until: The first day not judged.
        join: Feast's point-in-time join.
        recommend: The serving pipeline; None leaves its row out.

    Raises:
        CannotJudgeError: If too little happened in the window.
    """
    tasks, label = make_tasks(model, interactions, since=since, until=until)
    ids = [str(item_id) for item_id in model.catalog.item_ids[FIRST_ITEM:]]
    moment = midnight(since)
    items = ItemMatrix.from_table(_join_at(join, "item_id", ids, since), model.catalog, moment)
    judgements: list[Judgement] = []
    for task in tasks:
        users = _join_at(join, "user_id", list(task.user_ids), since)
        batch = UserBatch.from_table(users, model.catalog, now=moment)
        judgements += _judge_sources(model, batch, task)
        judgements += _judge_rankers(model, batch, task, items, day=since)
        if recommend is not None:
            lists = recommend(list(task.user_ids), task.name)
            judgements.append(judge_lists(lists, task, model.catalog, model=RELEASE))
    return Judged(tuple(judgements), label)


def make_tasks(
    model: Recommender, interactions: pa.Table, *, since: date, until: date
) -> tuple[list[Task], str]:
    """What is relevant, and its label: purchases; where too few bought, every interaction."""
    try:
        split = split_by_time(interactions, cutoff=since, until=until)
        return [make_task(name, split, model.catalog) for name in TASKS], "purchase"
    except CannotJudgeError as error:
        logger.info("judging on all interactions instead of purchases: %s", error)
    everything = split_by_time(_all_wanted(interactions, since), cutoff=since, until=until)
    return [make_task(name, everything, model.catalog) for name in TASKS], "interaction"


def _all_wanted(interactions: pa.Table, since: date) -> pa.Table:
    """As if every interaction of the window were a purchase; the past stays as it was."""
    is_late = pc.greater_equal(interactions.column("event_date"), pa.scalar(since, pa.date32()))
    wanted = pc.or_(interactions.column("is_purchase"), is_late)
    at = interactions.schema.get_field_index("is_purchase")
    return interactions.set_column(at, interactions.schema.field(at), wanted)


def _join_at(join: Join, entity: str, ids: Sequence[str], day: date) -> pa.Table:
    moments = pa.array([midnight(day)] * len(ids), TIMESTAMP)
    entities = pa.table({entity: pa.array(ids, pa.string()), "event_timestamp": moments})
    return join(entities, service="ranking")


def _judge_sources(model: Recommender, batch: UserBatch, task: Task) -> list[Judgement]:
    judged = []
    for name, source in model.retrievers.items():
        judged.append(judge(source.scores, batch, task, model=name))
        logger.info("judged %s on %s", name, task.name)
    return judged


def _judge_rankers(
    model: Recommender, batch: UserBatch, task: Task, items: ItemMatrix, *, day: date
) -> list[Judgement]:
    ranked = _RankedUsers(model, batch, task, items, day=day)
    judged = []
    for name, field in RANKERS.items():
        judged.append(judge(ranked.scores_of(field), batch, task, model=name))
        logger.info("judged %s on %s", name, task.name)
    return judged


class _RankedUsers:
    """All users' candidates, ranked once; handed out as catalog-wide scores of some users."""

    def __init__(
        self, model: Recommender, batch: UserBatch, task: Task, items: ItemMatrix, *, day: date
    ) -> None:
        self._width = len(model.catalog)
        self._row_of = {user_id: row for row, user_id in enumerate(batch.user_ids)}
        self._parts = list(model.rank_users(batch, items, task=task.name, day=day))
        self._starts = np.cumsum([0, *(len(candidates) for candidates, _ in self._parts)])

    def scores_of(self, field: str) -> Callable[[UserBatch], npt.NDArray[np.float32]]:
        """The scores function of one ranker: [b, V] for a part of the batch."""

        def scores(batch: UserBatch) -> npt.NDArray[np.float32]:
            rows = np.array([self._row_of[user_id] for user_id in batch.user_ids])
            scores_BV = np.full((len(rows), self._width), -np.inf, dtype=np.float32)
            for start, part in zip(self._starts, self._parts, strict=False):
                inside = np.flatnonzero((rows >= start) & (rows < start + len(part[0])))
                if len(inside):
                    scores_BV[inside] = self._scattered(part, rows[inside] - start, field)
            return scores_BV

        return scores

    def _scattered(
        self, part: tuple[Candidates, Ranked], rows: npt.NDArray[np.int64], field: str
    ) -> npt.NDArray[np.float32]:
        candidates, ranked = part
        scores_BC: npt.NDArray[np.float32] = getattr(ranked, field)[rows]
        return scatter(scores_BC, candidates.take(rows), self._width)
