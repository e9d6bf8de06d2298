"""Golden requests: what a release answers in this process, to be asked again of its bundle."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bentos.recommender.event_log import EventLog
from bentos.recommender.http import ENDPOINTS
from bentos.recommender.load import load_shop
from bentos.recommender.shop import Shop
from domain.settings import Settings

USER_COUNT: Final = 3
ITEM_COUNT: Final = 2
UNKNOWN_USER: Final = "golden-unknown-user"

Golden = Mapping[str, Any]


def record(release: Path, *, settings: Settings, online_store: str) -> list[Golden]:
    """Answers of every POST endpoint that only reads, as ``{path, body, answer}``.

    Nothing is logged: nobody saw these answers.
    """
    shop = load_shop(release, settings=settings, online_store=online_store, worker="golden")
    shop = replace(shop, log=EventLog(None, worker="golden"))
    try:
        return [_answered(shop, path, body) for path, body in _requests(shop)]
    finally:
        shop.pipeline.features.close()


def _answered(shop: Shop, path: str, body: Mapping[str, object]) -> Golden:
    endpoint = next(each for each in ENDPOINTS if each.path == path)
    answer = endpoint.ask(shop, endpoint.takes.model_validate(body), "golden")
    return {"path": path, "body": body, "answer": answer.model_dump(mode="json")}


def _requests(shop: Shop) -> Iterator[tuple[str, Mapping[str, object]]]:
    for user_id in [*shop.known_users(USER_COUNT), UNKNOWN_USER]:
        for task in ("any", "new"):
            yield "/recommend", {"user_id": user_id, "k": 10, "task": task}
    items = shop.pipeline.catalog.table.slice(0, ITEM_COUNT).to_pylist()
    for row in items:
        yield "/similar", {"item_id": row["item_id"], "k": 5}
        if row["title"].strip():
            yield "/search", {"query_text": row["title"], "k": 5}
            yield "/suggest", {"prefix": row["title"][:4], "k": 5}
