"""The challenger, the champion and recent popularity on the same users, days and rules.

The champion is judged anew on the challenger's window: yesterday's numbers are of other days. Both
are judged by what their serving pipeline would have shown, not by their scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from domain.clock import midnight, read_last_date
from domain.errors import CannotJudgeError
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from models.batch import UserBatch
from models.data import read_mart
from models.evaluate import Judgement, Task, judge, judge_lists, summarize
from models.judging import make_tasks
from models.recommender import Recommender
from models.runs import RunInfo

K: Final = 10
POPULARITY: Final = "popularity"


class Recommend(Protocol):
    """The serving pipeline on a day of the past (``bentos.recommender.offline``)."""

    def __call__(
        self, run: Path, user_ids: list[str], *, task: str, k: int, until: date
    ) -> pa.Table:
        """``RECOMMENDATIONS`` for these users at the first moment of ``until``."""


@dataclass(frozen=True)
class Judged:
    """Per-user metrics (``PER_USER``) of both tasks; ``metrics`` is what the manifest keeps."""

    challenger: pa.Table
    popularity: pa.Table
    champion: pa.Table | None
    metrics: dict[str, object]


def judge_all(
    settings: Settings, run: RunInfo, *, champion: Path | None, recommend: Recommend
) -> Judged:
    """Judge on [the run's cutoff, the day after the last landed day).

    Args:
        settings: Whose marts.
        run: The challenger.
        champion: The live release's run folder; None before the first release.
        recommend: Makes ranked lists.

    Raises:
        CannotJudgeError: If the window holds too little.
    """
    model = Recommender.load(run.folder)
    tasks, label = _tasks(settings, run, model)

    def lists_of(folder: Path, name: str) -> Callable[[Task], Judgement]:
        def judged(task: Task) -> Judgement:
            lists = recommend(folder, list(task.user_ids), task=task.name, k=K, until=run.until)
            return judge_lists(lists, task, model.catalog, model=name)

        return judged

    def popular(task: Task) -> Judgement:
        scores = model.retrievers[POPULARITY].scores
        return judge(scores, _nobodies(task, model, run.until), task, model=POPULARITY)

    ours = [lists_of(run.folder, "challenger")(task) for task in tasks]
    baseline = [popular(task) for task in tasks]
    theirs = [lists_of(champion, "champion")(task) for task in tasks] if champion else []
    return Judged(
        challenger=_table(ours),
        popularity=_table(baseline),
        champion=_table(theirs) if champion else None,
        metrics={
            "label": label,
            **{
                judgement.task: {
                    "user_count": len(judgement.per_user),
                    **summarize(judgement.per_user),
                }
                for judgement in ours
            },
        },
    )


def _tasks(settings: Settings, run: RunInfo, model: Recommender) -> tuple[list[Task], str]:
    last = read_last_date(settings.lake)
    if last is None or last < run.until:
        raise CannotJudgeError(
            f"run {run.name} was trained until {run.until} and the last landed day is {last}: "
            "there is no later day to judge it on"
        )
    until = last + timedelta(days=1)
    examples = read_mart(settings.marts, "retrieval_examples", before=until)
    return make_tasks(model, examples, since=run.until, until=until)


def _nobodies(task: Task, model: Recommender, until: date) -> UserBatch:
    """The task's users as if nothing were known of them: popularity is the same for all."""
    count = len(task.user_ids)
    nothing = {
        "history_item_ids": pa.nulls(count, pa.list_(pa.string())),
        "bought_item_ids": pa.nulls(count, pa.list_(pa.string())),
        "bought_item_weights": pa.nulls(count, pa.list_(pa.float32())),
    }
    moments = pa.array([midnight(until)] * count, TIMESTAMP)
    table = pa.table(
        {"user_id": pa.array(task.user_ids, pa.string()), "event_timestamp": moments, **nothing}
    )
    return UserBatch.from_table(table, model.catalog)


def _table(judgements: list[Judgement]) -> pa.Table:
    return pa.concat_tables([each.per_user for each in judgements]).combine_chunks()
