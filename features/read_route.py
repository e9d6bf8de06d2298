"""``POST /get-online-features``, answered from columns, before Feast's own route.

What differs from Feast's own: a plain answer never becomes protobuf, nor a Python object a value.
Feast's model reads the request, Feast says who may, and what goes wrong is for its application to
say. Feast's metrics and audit log are not written here: ``vitrine features`` has neither.
"""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from feast import FeatureStore
from feast.feature_server import GetOnlineFeaturesRequest, _get_features
from feast.feature_server_utils import convert_response_to_dict
from feast.permissions.server.rest import inject_user_details

from features.json_answer import json_of
from features.response import ColumnResponse


def answer_from_columns(app: FastAPI, store: FeatureStore) -> None:
    """Let ``app``, Feast's server of ``store``, answer online reads from columns."""
    router = APIRouter()

    # Feast's own route stays in the API's description: it says the same.
    @router.post(
        "/get-online-features",
        dependencies=[Depends(inject_user_details)],
        include_in_schema=False,
    )
    async def get_online_features(request: GetOnlineFeaturesRequest) -> Response:
        features = await _get_features(request, store)
        return await run_in_threadpool(_answer, store, features, request)

    app.router.routes[:0] = router.routes


def _answer(store: FeatureStore, features: Any, request: GetOnlineFeaturesRequest) -> Response:
    response = store.get_online_features(
        features=features,
        entity_rows=request.entities,
        full_feature_names=request.full_feature_names,
        include_feature_view_version_metadata=request.include_feature_view_version_metadata,
    )
    if isinstance(response, ColumnResponse):
        return Response(json_of(response), media_type="application/json")
    return JSONResponse(convert_response_to_dict(response.proto))
