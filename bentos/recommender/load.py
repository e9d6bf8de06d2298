"""From a release's folder to a shop that answers.

``release folder``: ``run/`` (the judged files), ``registry.db`` (a copy of Feast's registry),
``manifest.json``, ``seal.json``, and ``queries.json`` where the shop has typed searches.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bentos.recommender.event_log import EventLog
from bentos.recommender.explain import POPULARITY
from bentos.recommender.pipeline import Pipeline
from bentos.recommender.ports import Model, Reader, TextEncoder
from bentos.recommender.search import SearchIndex
from bentos.recommender.shop import Shop
from bentos.recommender.store import READ_BUDGET_S, FeatureMemory, empty_users
from bentos.recommender.suggest import Suggester
from domain.clock import wall_now
from domain.errors import FeatureSchemaError, VitrineError
from domain.manifest import Manifest, read_manifest
from domain.settings import Settings
from domain.stamp import read_stamp, require_same_features
from models.batch import UserBatch
from models.catalog import FIRST_ITEM

logger = logging.getLogger(__name__)

RUN_FOLDER: Final = "run"
REGISTRY_NAME: Final = "registry.db"
QUERIES_NAME: Final = "queries.json"


def require_features(release: Path, online_store: str) -> None:
    """Refuse an online store whose features are not the release's, before any worker starts.

    Only looks at a stamp beside a SQLite file: the workers ask servers when they connect. A store
    without a stamp is down, not different: the service starts and answers what it can.

    Raises:
        FeatureSchemaError: Naming the features that differ.
    """
    stamp = Path(online_store).with_name("stamp.json")
    if "://" in online_store or not stamp.exists():
        logger.warning("no stamp beside the online store %s: answers are degraded", online_store)
        return
    require_same_features(read_manifest(release).features, read_stamp(stamp).features)


def load_shop(release: Path, *, settings: Settings, online_store: str, worker: str) -> Shop:
    """Load a release that was checked against its seal, and connect it to its store."""
    from models.recommender import Recommender

    def connect() -> Reader:
        from features.online import FeatureReader

        return FeatureReader(
            online_store, registry=release / REGISTRY_NAME, timeout_s=settings.online_timeout_s
        )

    def known_users(limit: int) -> Sequence[str]:
        from features.known_users import known_users

        users: Sequence[str] = known_users(online_store, limit=limit)
        return users

    model = Recommender.load(release / RUN_FOLDER)
    return open_shop(
        model,
        manifest=read_manifest(release),
        connect=connect,
        encoder=_encoder(model),
        queries=_queries(release),
        log=EventLog(event_log_folder(settings, online_store), worker=worker),
        known_users=known_users,
        budget_s=settings.online_timeout_s,
    )


def open_shop(
    model: Model,
    *,
    manifest: Manifest,
    connect: Callable[[], Reader],
    encoder: TextEncoder | None,
    queries: Mapping[str, int],
    log: EventLog,
    known_users: Callable[[int], Sequence[str]],
    wall: Callable[[], datetime] = wall_now,
    budget_s: float = READ_BUDGET_S,
) -> Shop:
    """Put the parts together.

    Raises:
        FeatureSchemaError: If the store is up and its features are not the release's.
    """
    catalog = model.catalog
    ids = [str(item_id) for item_id in catalog.item_ids[FIRST_ITEM:]]
    features = FeatureMemory(connect, wanted=manifest.features, item_ids=ids, budget_s=budget_s)
    try:
        features.refresh()
    except FeatureSchemaError:
        raise
    # Whatever keeps the store from answering, the shop opens with what is popular.
    except Exception as error:
        logger.warning("the feature store does not answer, starting without it: %s", error)
    pipeline = Pipeline(model, features, release_id=manifest.release_id)
    index = SearchIndex(catalog, model.text_VE, encoder)
    nobody = UserBatch.from_table(empty_users([""]), catalog, now=wall())
    popularity_V = model.retrievers[POPULARITY].scores(nobody)[0]
    suggester = Suggester(
        catalog, popularity_V=popularity_V, speller=index.speller, queries=queries
    )
    return Shop(manifest, pipeline, index, suggester, log, known_users, wall)


def event_log_folder(settings: Settings, online_store: str) -> Path | None:
    """Where events go: below VITRINE_HOME where that is set, else beside the SQLite store.

    A bundle's own folder is sealed; writing there would break the seal.
    """
    if "home" in settings.model_fields_set:
        return settings.event_log
    return None if "://" in online_store else Path(online_store).parent / "event_log"


def _encoder(model: Model) -> TextEncoder | None:
    """The encoder, warm; None (search by words alone) where it cannot be used."""
    try:
        model.encoder.encode(["warm"])
    except (VitrineError, OSError) as error:
        logger.warning("search works by words alone: %s", error)
        return None
    return model.encoder


def _queries(release: Path) -> Mapping[str, int]:
    path = release / QUERIES_NAME
    if not path.exists():
        return {}
    queries: Mapping[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return queries
