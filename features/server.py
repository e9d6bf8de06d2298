"""Feast's own feature server on the shop's store, behind a door, its online reads from columns.

Feast (0.67) knows two ways to ask who calls, an identity provider (OIDC) and Kubernetes; even with
these, its chat page, web socket and health check ask nobody, and without them anyone may write. So
the door (``features.door``) stands before all of its paths.
"""

import logging
from dataclasses import replace
from typing import Any

import uvicorn
from feast import FeatureStore
from feast.feature_server import get_app

from domain.garbage import settle
from domain.settings import Settings
from domain.stamp import require_same_features
from features.door import Door
from features.read_route import answer_from_columns
from features.schema import feature_schema
from features.stamps import find_stamp, keep_stamp
from features.store import open_store, writing
from features.tokens import find_tokens

logger = logging.getLogger(__name__)

REGISTRY_TTL_S = 5


class OneWriterStore(FeatureStore):
    """A store that writes when nobody else does, and says so in the stamp: services read anew."""

    shop: Settings

    def materialize(self, *arguments: Any, **named: Any) -> None:
        """As Feast's."""
        self._write(super().materialize, *arguments, **named)

    def materialize_incremental(self, *arguments: Any, **named: Any) -> None:
        """As Feast's."""
        self._write(super().materialize_incremental, *arguments, **named)

    def write_to_online_store(self, *arguments: Any, **named: Any) -> None:
        """As Feast's."""
        self._write(super().write_to_online_store, *arguments, **named)

    def _write(self, write: Any, *arguments: Any, **named: Any) -> None:
        with writing(self.shop):
            write(*arguments, **named)
            stamp = find_stamp(self.shop.online_address)
            keep_stamp(self.shop.online_address, replace(stamp, version=stamp.version + 1))


def open_server(settings: Settings) -> Door:
    """The ASGI application.

    Raises:
        StaleFeaturesError: If nothing was materialized yet: Feast would answer with nulls.
        FeatureSchemaError: If the store's features are not those of the registry.
    """
    stamp = find_stamp(settings.online_address)
    store = OneWriterStore(config=open_store(settings).config)
    store.shop = settings
    store.registry.serve_features_while_materializing = True
    require_same_features(feature_schema(store), stamp.features)
    app = get_app(store, REGISTRY_TTL_S)
    answer_from_columns(app, store)
    return Door(app, tokens=find_tokens(settings))


def serve(settings: Settings, *, port: int) -> None:
    """Answer until a signal ends it. One process: Feast's readers share nothing, so run several."""
    app = open_server(settings)
    settle()
    uvicorn.run(app, host=settings.host, port=port, log_level="warning", access_log=False)
