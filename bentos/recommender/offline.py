"""The serving pipeline on a day of the past: what would have been shown, knowing what was known.

Features come from Feast's point-in-time join instead of the online store; every stage after that is
the one that serves. The gate judges with it, ``vitrine recommend`` writes mailings with it.
"""

import logging
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from bentos.recommender.pipeline import Pipeline
from bentos.recommender.ports import Reader
from bentos.recommender.schemas import Task
from bentos.recommender.store import FeatureMemory, StoreDownError
from domain.clock import midnight
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from features.history import point_in_time
from models.catalog import FIRST_ITEM
from models.recommender import Recommender

logger = logging.getLogger(__name__)


def recommend_as_of(
    run: Path,
    user_ids: Sequence[str],
    *,
    settings: Settings,
    task: str,
    k: int,
    until: date,
) -> pa.Table:
    """Recommendations for many users at the first moment of ``until``.

    Args:
        run: A run's folder, or a release's copy of it.
        user_ids: Distinct; those nothing was known of get what is popular.
        settings: Whose marts the features are joined from.
        task: ``any`` or ``new``.
        k: How many each.
        until: The first day whose events are not known.

    Returns:
        ``RECOMMENDATIONS``, in the order of ``user_ids``, best first.
    """
    model = Recommender.load(run)
    ids = [str(item_id) for item_id in model.catalog.item_ids[FIRST_ITEM:]]
    users = _as_of(settings, "user_id", user_ids, until)
    items = _as_of(settings, "item_id", ids, until)
    memory = FeatureMemory(_nowhere, wanted={}, item_ids=ids)
    pipeline = Pipeline(model, memory, release_id=run.name)
    logger.info("recommending %d of %d items to %d users", k, len(ids), len(user_ids))
    return pipeline.recommend_batch(users, task=Task(task), k=k, day=until, item_features=items)


def _as_of(settings: Settings, entity: str, ids: Sequence[str], until: date) -> pa.Table:
    moments = pa.array([midnight(until)] * len(ids), TIMESTAMP)
    entities = pa.table({entity: pa.array(ids, pa.string()), "event_timestamp": moments})
    return point_in_time(settings, entities, service="ranking")


def _nowhere() -> Reader:
    raise StoreDownError("features are joined from the past, there is no store to ask")
