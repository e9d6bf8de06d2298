"""The OpenAPI document of all endpoints, made of the same schemas that check the requests."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bentos.recommender.schemas import ErrorAnswer

Json = Mapping[str, object]

_REFUSALS: Final = {
    "400": "The body is no JSON.",
    "404": "There is no such item.",
    "413": "The body is too large.",
    "422": "A field is missing, unknown, of another type or out of bounds; the detail names it.",
}

# BentoML serves the scripts of Swagger UI; its own page would call a tag manager on the internet.
DOCS_PAGE: Final = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Vitrine: the API</title>
    <link rel="stylesheet" href="/static_content/swagger-ui.css" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/static_content/swagger-ui-bundle.js"></script>
    <script>SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui" });</script>
  </body>
</html>
"""


class Described(Protocol):
    """An endpoint, as far as it is described."""

    @property
    def path(self) -> str:
        """Its path, Starlette's way."""

    @property
    def method(self) -> str:
        """GET or POST."""

    @property
    def takes(self) -> type[BaseModel]:
        """The body of a POST, the parameters of a GET."""

    @property
    def gives(self) -> type[BaseModel]:
        """The answer."""

    @property
    def summary(self) -> str:
        """One sentence."""


def describe(endpoints: Sequence[Described]) -> Json:
    """The OpenAPI 3.1 document."""
    models: set[type[BaseModel]] = {ErrorAnswer}
    for each in endpoints:
        models |= {each.takes, each.gives}
    inputs: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (model, "validation") for model in sorted(models, key=lambda model: model.__name__)
    ]
    _, definitions = models_json_schema(inputs, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Json]] = {}
    for each in endpoints:
        path = re.sub(r":\w+}", "}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, path)
    for path, summary in _PROBES.items():
        paths[path] = {"get": {"summary": summary, "responses": {"200": {"description": "Fine."}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vitrine", "version": "1", "description": "A shop's window."},
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }


_PROBES: Final = {
    "/healthz": "Whether the process lives.",
    "/readyz": "Whether it may be sent requests.",
    "/metrics": "Counts and times, for Prometheus.",
}


def _operation(endpoint: Described, path: str) -> Json:
    operation: dict[str, object] = {
        "operationId": f"{endpoint.method.lower()}_{path.strip('/').split('/')[0]}",
        "summary": endpoint.summary,
        "responses": {
            "200": {"description": "The answer.", "content": _content(endpoint.gives)},
            **{
                status: {"description": text, "content": _content(ErrorAnswer)}
                for status, text in _REFUSALS.items()
            },
        },
    }
    if endpoint.method == "POST":
        operation["requestBody"] = {"required": True, "content": _content(endpoint.takes)}
    else:
        operation["parameters"] = _parameters(endpoint.takes, path)
    return operation


def _parameters(model: type[BaseModel], path: str) -> list[Json]:
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "in": "path" if f"{{{name}}}" in path else "query",
            "required": f"{{{name}}}" in path,
            "schema": content,
        }
        for name, content in schema.get("properties", {}).items()
    ]


def _content(model: type[BaseModel]) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
