"""Endpoints over HTTP: bodies in, answers or explained 4xx out. Nothing here knows a model.

A Starlette app mounted in the BentoML service: flat JSON bodies, exact statuses, and about twice
the requests a second of BentoML's typed endpoints (docs/decisions).
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bentos.recommender import metrics
from bentos.recommender import schemas as s
from bentos.recommender.openapi import DOCS_PAGE, describe
from bentos.recommender.shop import Shop, UnknownItemError

logger = logging.getLogger(__name__)

STOREFRONT: Final = Path(__file__).parent / "storefront"
THREADS: Final = 8


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: what it takes, gives, and whom it asks."""

    path: str
    method: str
    takes: type[BaseModel]
    gives: type[BaseModel]
    ask: Callable[[Shop, Any, str], BaseModel]

    @property
    def name(self) -> str:
        """The first part of the path."""
        return self.path.strip("/").split("/")[0]

    @property
    def summary(self) -> str:
        """What it does: the first line of the docstring of who is asked."""
        return (self.ask.__doc__ or "").splitlines()[0]


ENDPOINTS: Final = (
    Endpoint("/recommend", "POST", s.RecommendRequest, s.Answer, Shop.recommend),
    Endpoint("/similar", "POST", s.SimilarRequest, s.Answer, Shop.similar),
    Endpoint("/search", "POST", s.SearchRequest, s.SearchAnswer, Shop.search),
    Endpoint("/suggest", "POST", s.SuggestRequest, s.Suggestions, Shop.suggest),
    Endpoint("/events", "POST", s.EventsRequest, s.EventsAnswer, Shop.take_events),
    Endpoint("/users", "GET", s.UsersQuery, s.Users, Shop.users),
    Endpoint("/items/{item_id:path}", "GET", s.ItemQuery, s.ItemPage, Shop.item),
    Endpoint("/status", "GET", s.StatusQuery, s.Status, Shop.status),
)


class RefusedError(Exception):
    """A request that cannot be answered, with its status."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error


def make_app(shop_of: Callable[[], Shop]) -> Starlette:
    """The app; ``shop_of`` gives the shop once the service is initialized."""
    limiter: list[CapacityLimiter] = []

    def route(endpoint: Endpoint) -> Route:
        async def handle(request: Request) -> Response:
            if not limiter:
                limiter.append(CapacityLimiter(THREADS))
            return await _answer(endpoint, request, shop_of, limiter[0])

        return Route(endpoint.path, handle, methods=[endpoint.method], name=endpoint.name)

    return Starlette(
        routes=[*map(route, ENDPOINTS), *_pages()],
        exception_handlers={HTTPException: _not_found_or_not_allowed},
    )


def _pages() -> list[BaseRoute]:
    document = describe(ENDPOINTS)

    async def index(_: Request) -> Response:
        return FileResponse(STOREFRONT / "index.html", headers={"cache-control": "no-cache"})

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def counts(_: Request) -> Response:
        content = await to_thread.run_sync(metrics.exposition)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def docs(_: Request) -> Response:
        return HTMLResponse(DOCS_PAGE)

    return [
        Route("/", index, name="storefront"),
        Route("/openapi.json", openapi, name="openapi"),
        # BentoML's own pages point here.
        Route("/docs.json", openapi, name="docs.json"),
        Route("/docs", docs, name="docs"),
        Route("/metrics", counts, name="metrics"),
        Mount("/static", StaticFiles(directory=STOREFRONT, check_dir=False), name="static"),
    ]


async def _answer(
    endpoint: Endpoint, request: Request, shop_of: Callable[[], Shop], limiter: CapacityLimiter
) -> Response:
    request_id = uuid4().hex
    began = time.perf_counter()
    try:
        asked = await _asked(endpoint, request)
        given = await to_thread.run_sync(
            endpoint.ask, shop_of(), asked, request_id, limiter=limiter
        )
        response = Response(given.model_dump_json(), media_type="application/json")
    except RefusedError as error:
        response = _error(error.status, error.error, str(error), request_id)
    except UnknownItemError as error:
        response = _error(404, "unknown_item", str(error), request_id)
    except Exception:
        logger.exception("request %s to %s failed", request_id, endpoint.path)
        response = _error(500, "internal", "the service failed; its log says why", request_id)
    response.headers["x-request-id"] = request_id
    metrics.REQUESTS.labels(endpoint.name, str(response.status_code)).inc()
    metrics.SECONDS.labels(endpoint.name).observe(time.perf_counter() - began)
    return response


async def _asked(endpoint: Endpoint, request: Request) -> BaseModel:
    try:
        if endpoint.method == "GET":
            given = {**request.query_params, **request.path_params}
            return endpoint.takes.model_validate_strings(given)
        return endpoint.takes.model_validate_json(await _body(request))
    except ValidationError as error:
        is_broken = any(found["type"] == "json_invalid" for found in error.errors())
        raise RefusedError(
            400 if is_broken else 422,
            "malformed_json" if is_broken else "invalid_request",
            _explained(error),
        ) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > s.MAX_BODY_BYTES:
            raise RefusedError(
                413, "too_large", f"the body is larger than {s.MAX_BODY_BYTES:,} bytes"
            )
    return bytes(body)


def _explained(error: ValidationError) -> str:
    """Field and fault of the first few errors; what was sent is not repeated."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5]
    )


def _error(status: int, error: str, detail: str, request_id: str) -> Response:
    answer = s.ErrorAnswer(error=error, detail=detail, request_id=request_id)
    return Response(answer.model_dump_json(), status, media_type="application/json")


async def _not_found_or_not_allowed(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "the service failed"
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    response = _error(status, "http", detail, uuid4().hex)
    response.headers.update(headers)
    return response
