"""Retrieve → filter → rank → re-rank → explain, for one user or for thousands. No HTTP in it.

One request and a batch go through the same stages, so a mailing shows what the page would show.
"""

# B users, C candidates, V catalog

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bentos.recommender.explain import POPULAR, POPULARITY, Reason, explain
from bentos.recommender.ports import Model
from bentos.recommender.rerank import RerankConfig, diversify, lift_fresh
from bentos.recommender.schemas import Answer, RecommendRequest, ShownItem, Task
from bentos.recommender.store import FeatureMemory, StoreDownError, empty_users
from domain.clock import midnight
from domain.errors import BadInputError
from domain.schemas import RECOMMENDATIONS
from models.batch import UserBatch
from models.candidates import Candidates, chunk_rows
from models.catalog import FIRST_ITEM, PADDING
from models.top_k import best_columns


@dataclass(frozen=True)
class Picked:
    """One user's answer before it is dressed: parallel lists, best first."""

    items: list[int]
    scores: list[float]
    sources: list[str]


class Pipeline:
    """A release's answers. Thread-safe: holds nothing of a request."""

    def __init__(
        self,
        model: Model,
        features: FeatureMemory,
        *,
        release_id: str,
        rerank: RerankConfig | None = None,
    ) -> None:
        self.model = model
        self.features = features
        self.release_id = release_id
        self.rerank = rerank or RerankConfig()
        self.catalog = model.catalog
        self._labels = {
            name: _by_index(model.catalog.table.column(name)) for name in ("category", "brand")
        }
        self._available_from = _by_index(model.catalog.table.column("available_from_date"))

    def recommend(
        self, request: RecommendRequest, now: datetime, *, request_id: str = ""
    ) -> Answer:
        """The k best items for one user, best first, each with its reason.

        A user the store does not know gets what is popular. A store that is down makes a degraded
        answer, never an error.
        """
        day = now.date()
        try:
            users = self.features.users([request.user_id])
        except StoreDownError as error:
            picked = self.popular(k=request.k, day=day)
            reasons = [Reason(POPULARITY, POPULAR)] * len(picked.items)
            answer = self.dress(picked, reasons, now=now, request_id=request_id)
            return answer.model_copy(
                update={
                    "user_id": request.user_id,
                    "surface": request.surface,
                    "is_degraded": True,
                    "degraded_reason": str(error),
                }
            )
        batch = UserBatch.from_table(users, self.catalog, now=now)
        picked = next(self._pick(batch, task=request.task, k=request.k, day=day))
        reasons = explain(
            batch,
            items=picked.items,
            sources=picked.sources,
            retrievers=self.model.retrievers,
            catalog=self.catalog,
        )
        answer = self.dress(picked, reasons, now=now, request_id=request_id)
        return answer.model_copy(update={"user_id": request.user_id, "surface": request.surface})

    def recommend_batch(
        self,
        users: pa.Table | Sequence[str],
        *,
        task: Task,
        k: int,
        day: date,
        item_features: pa.Table | None = None,
    ) -> pa.Table:
        """The same stages over many users.

        Args:
            users: Rows of user features and history (``point_in_time`` or ``FeatureReader``), or
                user ids to read from the online store.
            task: ``any`` or ``new``.
            k: How many each, at least 1; a user may get fewer if the catalog ends.
            day: The day they are for; ``now`` is its first moment.
            item_features: In catalog order; None takes what is held in memory.

        Returns:
            ``RECOMMENDATIONS``, in the users' order, best first.

        Raises:
            BadInputError: If k < 1, or the store does not answer for the ids.
        """
        if k < 1:
            raise BadInputError(f"k must be at least 1, got {k}")
        if not isinstance(users, pa.Table):
            users = self._read(users)
        rows: list[tuple[str, list[int], list[float]]] = []
        whole = UserBatch.from_table(users, self.catalog, now=midnight(day))
        for batch in _chunks(whole):
            picks = self._pick(batch, task=task, k=k, day=day, item_features=item_features)
            for user_id, picked in zip(batch.user_ids, picks, strict=True):
                rows.append((str(user_id), picked.items, picked.scores))
        return self._table(rows)

    def popular(self, *, k: int, day: date) -> Picked:
        """What is popular among what may be served on ``day``: needs no store and no features."""
        nobody = UserBatch.from_table(empty_users([""]), self.catalog, now=midnight(day))
        scores_V = self.model.retrievers[POPULARITY].scores(nobody)[0].astype(np.float64)
        scores_V[~self.servable(day)] = -np.inf
        best = [int(item) for item in best_columns(scores_V, k=k)]
        return Picked(best, [float(scores_V[item]) for item in best], [POPULARITY] * len(best))

    def servable(self, day: date) -> npt.NDArray[np.bool_]:
        """Rules that hold for every answer: known items, available on ``day``. Shape [V]."""
        mask_V: npt.NDArray[np.bool_] = self.catalog.available(day)
        mask_V[:FIRST_ITEM] = False
        return mask_V

    def dress(
        self, picked: Picked, reasons: Sequence[Reason], *, now: datetime, request_id: str
    ) -> Answer:
        """Turn picked items into an answer with everything a page shows of them."""
        places = pa.array([item - FIRST_ITEM for item in picked.items], pa.int64())
        rows = self.catalog.table.take(places).to_pylist()
        shown = [
            ShownItem(
                **{name: row[name] for name in _SHOWN},
                score=score,
                rank=at,
                position=at,
                source=reason.source,
                reason=reason.text,
                # The order is a function of the request: what is shown was certain to be shown.
                propensity=1.0,
            )
            for at, (row, score, reason) in enumerate(
                zip(rows, picked.scores, reasons, strict=True), 1
            )
        ]
        return Answer(
            request_id=request_id,
            release_id=self.release_id,
            user_id=None,
            surface="home",
            now=now,
            items=shown,
        )

    def _pick(
        self,
        batch: UserBatch,
        *,
        task: Task,
        k: int,
        day: date,
        item_features: pa.Table | None = None,
    ) -> Iterator[Picked]:
        """Retrieve, filter, rank and re-rank; one ``Picked`` a user, in order."""
        held = self.features.snapshot.item_features if item_features is None else item_features
        found = self.model.retrieve(batch, bought=task, day=day)
        kept = self._filter(found, batch, task=task, day=day)
        scores_BC = np.asarray(self.model.rank(batch, kept, held), dtype=np.float64)
        scores_BC = np.where(kept.mask_BC & np.isfinite(scores_BC), scores_BC, -np.inf)
        best_source_BC = kept.best_source_BC
        for row, (items_C, scores_C) in enumerate(zip(kept.item_index_BC, scores_BC, strict=True)):
            names = {
                int(item): kept.source_names[source]
                for item, source in zip(items_C, best_source_BC[row], strict=True)
            }
            yield self._rerank(items_C, scores_C, names, k=k, day=day)

    def _filter(self, found: Candidates, batch: UserBatch, *, task: Task, day: date) -> Candidates:
        """Take away what must not be shown, whatever retrieval thought."""
        keep_BC = self.servable(day)[found.item_index_BC]
        if task == Task.NEW:
            rows = np.arange(len(batch))[:, None]
            keep_BC &= np.asarray(batch.bought_BV[rows, found.item_index_BC].todense()) == 0
        item_index_BC = np.where(keep_BC, found.item_index_BC, PADDING).astype(np.int32)
        scores_BCS = np.where(keep_BC[:, :, None], found.source_scores_BCS, -np.inf)
        return Candidates(item_index_BC, scores_BCS.astype(np.float32), found.source_names)

    def _rerank(
        self,
        items_C: npt.NDArray[np.int32],
        scores_C: npt.NDArray[np.float64],
        names: dict[int, str],
        *,
        k: int,
        day: date,
    ) -> Picked:
        if self.rerank.fresh_lift:
            is_fresh_C = np.array([self._is_fresh(int(item), day) for item in items_C])
            scores_C = lift_fresh(scores_C, is_fresh_C, lift=self.rerank.fresh_lift)
        order = np.argsort(-scores_C, kind="stable")
        order = order[np.isfinite(scores_C[order])]
        score_of = dict(zip(items_C[order].tolist(), scores_C[order].tolist(), strict=True))
        shown = diversify(
            list(score_of),
            k=k,
            groups=[
                (self._labels["category"], self.rerank.category_share),
                (self._labels["brand"], self.rerank.brand_share),
            ],
        )
        return Picked(shown, [score_of[item] for item in shown], [names[item] for item in shown])

    def _is_fresh(self, item: int, day: date) -> bool:
        since = self._available_from[item]
        return since is not None and 0 <= (day - since).days < self.rerank.fresh_days

    def _read(self, user_ids: Sequence[str]) -> pa.Table:
        try:
            return self.features.users(user_ids, budget_s=60.0)
        except StoreDownError as error:
            raise BadInputError(str(error)) from error

    def _table(self, rows: Sequence[tuple[str, list[int], list[float]]]) -> pa.Table:
        ids = self.catalog.item_ids
        return pa.table(
            {
                "user_id": [user for user, items, _ in rows for _ in items],
                "item_id": [ids[item] for _, items, _ in rows for item in items],
                "score": [score for _, _, scores in rows for score in scores],
                "rank": [at for _, items, _ in rows for at in range(1, len(items) + 1)],
            },
            schema=RECOMMENDATIONS,
        )


_SHOWN = ("item_id", "title", "category", "brand", "price_cents", "image_url")


def _by_index(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """A column's values by ``item_index``; None for padding and unknown."""
    values = np.full(len(column) + FIRST_ITEM, None, dtype=object)
    values[FIRST_ITEM:] = column.to_pylist()
    return values


def _chunks(batch: UserBatch) -> Iterator[UserBatch]:
    step = chunk_rows(batch)
    return (batch.take(slice(at, at + step)) for at in range(0, len(batch), step))
