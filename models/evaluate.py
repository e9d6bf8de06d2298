"""Judging: full ranking over the catalog, ties against the model, intervals over users.

Two tasks, as in docs: ``any``, every catalog item bought in the window (repeats count), and
``new``, only items that the user never bought, with the bought ones no candidates. Judged are users
with a purchase before the cutoff and something relevant in the window. Score matrices and ranked
lists (``RECOMMENDATIONS``) go through the same code from the ranks on.
"""

# B users, V catalog, P relevant (user, item) pairs

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from domain.errors import BadInputError, CannotJudgeError
from models import metrics
from models.batch import UserBatch
from models.bootstrap import Interval, bootstrap_interval
from models.catalog import FIRST_ITEM, Catalog
from models.splits import Split

K: Final = 10
MIN_USERS: Final = 20
CHUNK_USERS: Final = 512
NEW_DAYS: Final = 30
HEAVY_SHARE: Final = 0.1

TaskName = Literal["any", "new"]
TASKS: Final[tuple[TaskName, ...]] = ("any", "new")
ScoresFunction = Callable[[UserBatch], npt.NDArray[np.float32]]

PER_USER: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in metrics.METRIC_NAMES),
    ]
)


@dataclass(frozen=True)
class Task:
    """What is judged, on whom.

    Attributes:
        name: ``any`` or ``new``.
        user_ids: The judged users, sorted. Shape [B].
        relevant_BV: What they bought in the window; true cells only.
        hidden_BV: What is no candidate for them (``new``: all they bought before).
        candidates_V: Items sold before the cutoff.
        slices: Slice name → which of the P relevant pairs belong to it, in row order.
    """

    name: TaskName
    user_ids: npt.NDArray[np.object_]
    relevant_BV: sparse.csr_matrix
    hidden_BV: sparse.csr_matrix
    candidates_V: npt.NDArray[np.bool_]
    slices: Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Judgement:
    """One model on one task; ``per_user`` and each slice are ``PER_USER`` tables."""

    model: str
    task: TaskName
    per_user: pa.Table
    per_slice: Mapping[str, pa.Table]
    coverage: float

    def to_json(self) -> dict[str, object]:
        """Every metric with its interval, overall and by slice."""
        return {
            "user_count": len(self.per_user),
            "catalog_coverage": round(self.coverage, 6),
            "metrics": summarize(self.per_user),
            "slices": {
                name: {"user_count": len(table), "metrics": summarize(table)}
                for name, table in self.per_slice.items()
                if len(table)
            },
        }


def make_task(
    name: TaskName, split: Split, catalog: Catalog, *, min_users: int = MIN_USERS
) -> Task:
    """Work out who is judged on what.

    Raises:
        CannotJudgeError: If fewer than ``min_users`` users have something relevant.
    """
    before = split.train.filter(split.train.column("is_purchase"))
    users = pa.array(sorted(pc.unique(before.column("user_id")).to_pylist()), pa.string())
    bought_UV = _cells(before, users, catalog)
    relevant_UV = _cells(split.test, users, catalog)
    sold_V = np.asarray(bought_UV.sum(axis=0)).ravel() > 0
    relevant_UV = relevant_UV.multiply(sold_V[None, :]).tocsr()
    if name == "new":
        relevant_UV = (relevant_UV - relevant_UV.multiply(bought_UV)).tocsr()
    relevant_UV.eliminate_zeros()
    kept = np.flatnonzero(np.diff(relevant_UV.indptr))
    if len(kept) < min_users:
        raise CannotJudgeError(
            f"task {name}: {len(kept)} users have something relevant in [{split.cutoff}, "
            f"{split.until}), expected at least {min_users}"
        )
    relevant_BV, bought_BV = relevant_UV[kept].tocsr(), bought_UV[kept].tocsr()
    relevant_BV.sort_indices()
    ids = users.to_numpy(zero_copy_only=False).astype(object)[kept]
    return Task(
        name=name,
        user_ids=ids,
        relevant_BV=relevant_BV,
        hidden_BV=bought_BV if name == "new" else sparse.csr_matrix(bought_BV.shape, dtype=bool),
        candidates_V=sold_V,
        slices=_slices(before, catalog, ids, relevant_BV, bought_BV, cutoff=split.cutoff),
    )


def judge(scores: ScoresFunction, batch: UserBatch, task: Task, *, model: str) -> Judgement:
    """Rank the whole catalog for each judged user.

    Args:
        scores: Scores [b, V] of a part of the batch; ``-inf`` is never found.
        batch: What is known about ``task.user_ids`` at the cutoff, in that order.
        task: From ``make_task``.
        model: The name in the tables.

    Raises:
        ValueError: If the batch is of other users, or a score is NaN.
    """
    if not np.array_equal(batch.user_ids, task.user_ids):
        raise ValueError(f"task {task.name}: the batch holds other users than the task")
    user_P, item_P = _pairs(task.relevant_BV)
    rank_P = np.zeros(len(user_P), dtype=np.int64)
    is_shown_V = np.zeros(len(task.candidates_V), dtype=bool)
    for begin in range(0, len(batch), CHUNK_USERS):
        rows = slice(begin, min(begin + CHUNK_USERS, len(batch)))
        scores_CV = _masked(scores(batch.take(rows)), task, rows)
        inside = slice(task.relevant_BV.indptr[rows.start], task.relevant_BV.indptr[rows.stop])
        rank_P[inside] = metrics.pessimistic_ranks(
            scores_CV, user_P[inside] - begin, item_P[inside], k=K
        )
        is_shown_V |= _shown(scores_CV)
    coverage = float(is_shown_V.sum() / task.candidates_V.sum())
    return _judgement(task, rank_P, model=model, coverage=coverage)


def judge_lists(lists: pa.Table, task: Task, catalog: Catalog, *, model: str) -> Judgement:
    """Judge ranked lists (``RECOMMENDATIONS``) by their ``rank``, whoever made them.

    Judged users without a list found nothing; lists of other users are left out; what is no
    candidate of the task takes its place in the list and finds nothing.

    Raises:
        BadInputError: If a user has the same item or the same rank twice, or a rank below 1.
    """
    row = pc.index_in(lists.column("user_id"), value_set=pa.array(task.user_ids, pa.string()))
    lists = lists.filter(pc.is_valid(row))
    user = np.asarray(row.drop_null().to_numpy(), dtype=np.int64)
    item = catalog.index_of(lists.column("item_id"))
    rank = np.asarray(lists.column("rank").to_numpy(), dtype=np.int64)
    _require_proper_lists(user, item, rank)
    ranks_BV = sparse.csr_matrix((rank, (user, item)), shape=task.relevant_BV.shape)
    user_P, item_P = _pairs(task.relevant_BV)
    rank_P = np.asarray(ranks_BV[user_P, item_P]).ravel()
    is_shown = (rank <= K) & task.candidates_V[item]
    coverage = len(np.unique(item[is_shown])) / int(task.candidates_V.sum())
    return _judgement(task, rank_P, model=model, coverage=coverage)


def summarize(per_user: pa.Table, *, seed: int = 7) -> dict[str, dict[str, float]]:
    """Metric → mean, low, high over the users of the table."""
    return {
        name: bootstrap_interval(per_user.column(name).to_numpy(), seed=seed).to_json()
        for name in metrics.METRIC_NAMES
    }


def paired_difference(
    challenger: pa.Table, champion: pa.Table, *, metric: str = "ndcg_at_10", seed: int = 7
) -> Interval:
    """Mean of challenger − champion per user, with its interval: paired on the same users.

    Raises:
        CannotJudgeError: If the two tables are not of the same users.
    """
    a, b = challenger.sort_by("user_id"), champion.sort_by("user_id")
    if a.column("user_id").to_pylist() != b.column("user_id").to_pylist():
        raise CannotJudgeError(
            f"the two models were judged on other users ({len(a)} and {len(b)}); judge both anew"
        )
    return bootstrap_interval(a.column(metric).to_numpy() - b.column(metric).to_numpy(), seed=seed)


def _cells(examples: pa.Table, users: pa.Array, catalog: Catalog) -> sparse.csr_matrix:
    """User × item cells with at least one purchase, as ones."""
    user = pc.index_in(examples.column("user_id"), value_set=users)
    known = pc.is_valid(user)
    rows = np.asarray(user.drop_null().to_numpy(), dtype=np.int64)
    columns = catalog.index_of(examples.column("item_id").filter(known))
    kept = columns >= FIRST_ITEM
    cells = sparse.csr_matrix(
        (np.ones(int(kept.sum()), np.float32), (rows[kept], columns[kept])),
        shape=(len(users), len(catalog)),
    )
    cells.data[:] = 1.0
    return cells


def _slices(
    before: pa.Table,
    catalog: Catalog,
    ids: npt.NDArray[np.object_],
    relevant_BV: sparse.csr_matrix,
    bought_BV: sparse.csr_matrix,
    *,
    cutoff: date,
) -> dict[str, npt.NDArray[np.bool_]]:
    user_P, item_P = _pairs(relevant_BV)
    fresh = pa.scalar(cutoff - timedelta(days=NEW_DAYS), pa.date32())
    old = before.filter(pc.less(before.column("event_date"), fresh))
    is_new_B = ~np.isin(ids, pc.unique(old.column("user_id")).to_numpy(zero_copy_only=False))
    is_new_V = np.ones(len(catalog), dtype=bool)
    is_new_V[catalog.index_of(pc.unique(old.column("item_id")))] = False
    counts_B = np.diff(bought_BV.indptr)
    is_heavy_B = counts_B >= np.quantile(counts_B, 1 - HEAVY_SHARE)
    return {
        "new_users": is_new_B[user_P],
        "heavy_users": is_heavy_B[user_P],
        "new_items": is_new_V[item_P],
    }


def _pairs(cells: sparse.csr_matrix) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.repeat(np.arange(cells.shape[0]), np.diff(cells.indptr))
    return rows.astype(np.int64), cells.indices.astype(np.int64)


def _masked(scores_CV: npt.NDArray[np.float32], task: Task, rows: slice) -> npt.NDArray[np.float32]:
    masked = np.where(task.candidates_V, scores_CV, np.float32(-np.inf))
    hidden = task.hidden_BV[rows].tocoo()
    masked[hidden.row, hidden.col] = -np.inf
    return masked


def _shown(scores_CV: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    is_shown_V = np.zeros(scores_CV.shape[1], dtype=bool)
    top = metrics.top_k(scores_CV, k=K)
    is_shown_V[top[np.isfinite(np.take_along_axis(scores_CV, top, axis=1))]] = True
    return is_shown_V


def _judgement(
    task: Task, rank_P: npt.NDArray[np.int64], *, model: str, coverage: float
) -> Judgement:
    everything = np.ones(len(rank_P), dtype=bool)
    return Judgement(
        model=model,
        task=task.name,
        per_user=_per_user(task, rank_P, everything, model=model),
        per_slice={
            name: _per_user(task, rank_P, inside, model=model)
            for name, inside in task.slices.items()
        },
        coverage=coverage,
    )


def _per_user(
    task: Task, rank_P: npt.NDArray[np.int64], inside_P: npt.NDArray[np.bool_], *, model: str
) -> pa.Table:
    """Metrics of each user with a relevant item inside the slice, of those items alone."""
    user_P, _ = _pairs(task.relevant_BV)
    kept, row_P = np.unique(user_P[inside_P], return_inverse=True)
    counts = np.bincount(row_P, minlength=len(kept))
    of_ranks = {
        "recall_at_10": metrics.recall_of_ranks,
        "ndcg_at_10": metrics.ndcg_of_ranks,
        "hit_rate_at_10": metrics.hit_of_ranks,
        "mrr": metrics.reciprocal_of_ranks,
    }
    columns = {
        name: metric(row_P, rank_P[inside_P], counts, k=K) for name, metric in of_ranks.items()
    }
    names = {"task": [task.name] * len(kept), "model": [model] * len(kept)}
    return pa.table({"user_id": task.user_ids[kept], **names, **columns}, schema=PER_USER)


def _require_proper_lists(
    user: npt.NDArray[np.int64], item: npt.NDArray[np.int32], rank: npt.NDArray[np.int64]
) -> None:
    known = item >= FIRST_ITEM
    by_item = np.stack([user[known], item[known]], axis=1)
    by_rank = np.stack([user, rank], axis=1)
    for what, pairs in (("item", by_item), ("rank", by_rank)):
        if len(np.unique(pairs, axis=0)) != len(pairs):
            raise BadInputError(f"ranked lists: a user has the same {what} twice")
    if len(rank) and rank.min() < 1:
        raise BadInputError(f"ranked lists: ranks start at 1, got {rank.min()}")
