"""One number for how good a way to score users is on some days: what is stopped and chosen by."""

from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa

from models.batch import UserBatch
from models.catalog import Catalog
from models.evaluate import TASKS, ScoresFunction, Task, judge, make_task
from models.histories import user_batch_at
from models.splits import split_by_time


@dataclass(frozen=True)
class Validation:
    """Both tasks on purchases of [cutoff, until), and the users as they were at the cutoff.

    Attributes:
        train: The examples before the cutoff: all that a judged model may have learned from.
        exams: Each task with its users.
    """

    train: pa.Table
    exams: tuple[tuple[Task, UserBatch], ...]

    @classmethod
    def of(cls, examples: pa.Table, catalog: Catalog, *, cutoff: date, until: date) -> Self:
        """Work out who is judged on what.

        Args:
            examples: ``RETRIEVAL_EXAMPLES``; rows on or after ``until`` are left out.
            catalog: Whose ``item_index`` is meant.
            cutoff: The first day that is judged.
            until: The first day that is not.

        Raises:
            CannotJudgeError: If too little happened.
        """
        split = split_by_time(examples, cutoff=cutoff, until=until)
        tasks = [make_task(name, split, catalog) for name in TASKS]
        users = [
            user_batch_at(split.train, catalog, until=cutoff, user_ids=list(task.user_ids))
            for task in tasks
        ]
        return cls(split.train, tuple(zip(tasks, users, strict=True)))

    def score(self, scores: ScoresFunction) -> float:
        """Geometric mean of both tasks' NDCG@10: a tenth more counts as much in either."""
        means = [
            judge(scores, batch, task, model="").per_user.column("ndcg_at_10").to_numpy().mean()
            for task, batch in self.exams
        ]
        return float(np.sqrt(np.prod(means)))
