"""Feast's online store with one packed record per entity and view, the same on every server.

What differs from Feast's own stores, for whoever reads and writes through Feast:

* values go in and out as Arrow columns; Feast's protobuf is made at the edge, a column at a time;
* a value's event time never goes back: a row older than the one held is left out, in every store;
* a value older than its view's ttl is answered as missing. *Now* is the shop's (``domain.clock``):
  for a replayed shop the day after the stamp's, for a live one, or without a stamp, the wall clock;
* what is written in one call is seen together or not at all (Redis: see ``redis_store``);
* each record names its layout, and is read by that one: see ``layout``.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, Final

import numpy as np
from feast import Entity, FeatureService, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.metrics import track_online_store_read
from feast.online_response import OnlineResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from domain.clock import shop_now, wall_now
from domain.errors import StaleFeaturesError
from domain.stamp import StoreStamp
from features.answers import (
    add_answers,
    answered_names,
    asked_keys,
    count_statuses,
    entity_rows,
)
from features.backend import Backend
from features.layout import Layout, layout_from, layout_of
from features.packing import Chunk
from features.question import plain_question
from features.records import Rows, read_rows
from features.response import ColumnResponse, part_of
from features.sending import chunks_of, columns_of_values

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

STAMP: Final = "stamp"
"""The note that holds the store's stamp, where the store is a server."""

_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PackedOnlineStore(Backend, OnlineStore):
    """What all stores share; a subclass only moves bytes."""

    def __init__(self) -> None:
        self._ready: set[tuple[str, bytes]] = set()
        self._stamp: tuple[str, str, date] | None = None

    # Feast's interface.

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Any,
    ) -> None:
        """Write rows that came as protobuf: pushes, ``write_to_online_store``."""
        if data:
            keys = [_key(config, row[0]) for row in data]
            batch = columns_of_values(table, [row[1] for row in data])
            moments = np.array([_microseconds(row[2]) for row in data], dtype=np.int64)
            layout = layout_of(table)
            self._write(config, table, layout, chunks_of(layout, batch, keys, moments))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """The requested features of each entity, in their order; (None, None) for the missing."""
        names = requested_features or [field.name for field in table.features]
        keys = [_key(config, key) for key in entity_keys]
        return entity_rows(self.read(config, table, keys, names), table)

    def _read_features_per_fv(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        grouped_refs: list[Any],
        join_key_values: dict[str, Any],
        entity_name_to_join_key_map: dict[str, str],
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """Feast's hook to answer several views: a whole column at a time."""
        if include_feature_view_version_metadata:
            super()._read_features_per_fv(
                config,
                grouped_refs,
                join_key_values,
                entity_name_to_join_key_map,
                online_features_response,
                full_feature_names,
                include_feature_view_version_metadata,
            )
            return
        for view, features in grouped_refs:
            keys = asked_keys(view, join_key_values, entity_name_to_join_key_map)
            rows = self.read(config, view, keys, features)
            count_statuses(view, features, rows)
            names = answered_names(view, features, full_names=full_feature_names)
            add_answers(online_features_response, rows, view, features, names)

    def get_online_features(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        include_feature_view_version_metadata: bool = False,
    ) -> OnlineResponse:
        """Feast's answer, as columns; what is more than stored values is left to Feast's way."""
        question = None
        if not include_feature_view_version_metadata:
            question = plain_question(
                features, entity_rows, registry, project, full_names=full_feature_names
            )
        if question is None:
            return super().get_online_features(
                config,
                features,
                entity_rows,
                registry,
                project,
                full_feature_names,
                include_feature_view_version_metadata,
            )
        self._check_versioned_read_support(question.views)
        began = time.monotonic()
        parts = []
        for view, names in question.views:
            rows = self.read(config, view, question.keys(view), names)
            count_statuses(view, names, rows)
            parts.append(part_of(view, names, rows, full_names=full_feature_names))
        track_online_store_read(time.monotonic() - began)
        return ColumnResponse(question.answer, parts)

    async def get_online_features_async(self, *asked: Any, **named: Any) -> OnlineResponse:
        """``get_online_features`` in a thread."""
        return await asyncio.to_thread(self.get_online_features, *asked, **named)

    async def online_read_async(self, *asked: Any, **named: Any) -> Any:
        """``online_read`` in a thread: no driver's event loop, and nobody's loop is held up."""
        return await asyncio.to_thread(self.online_read, *asked, **named)

    async def online_write_batch_async(self, *asked: Any, **named: Any) -> None:
        """``online_write_batch`` in a thread."""
        await asyncio.to_thread(self.online_write_batch, *asked, **named)

    def update(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make room for the views that stay, remove those that go."""
        for view in tables_to_delete:
            self._forget(config, view)
        for view in tables_to_keep:
            self._prepare(config, view, layout_of(view))

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Remove every view."""
        for view in tables:
            self._forget(config, view)

    # What Feast's interface has no word for.

    def read(
        self,
        config: RepoConfig,
        view: FeatureView,
        keys: Sequence[bytes],
        names: Sequence[str],
        *,
        now: datetime | None = None,
    ) -> Rows:
        """Features as Arrow columns; what is missing or expired is null.

        Args:
            config: Feast's configuration.
            view: Whose features.
            keys: Serialized entity keys; duplicates are fine.
            names: Features.
            now: The moment that values must still be true at; default: the shop's now.
        """
        held = self.fetch(config, table_of(config, view), keys)
        oldest = None
        if ttl := getattr(view, "ttl", None):  # On-demand views have none.
            oldest = _microseconds(now or self._now(held.stamp)) - ttl // _MICROSECOND
        layout = layout_of(view)
        return read_rows(held, layout, names, oldest=oldest, old=lambda: self._known(config, view))

    def write(self, config: RepoConfig, view: FeatureView, chunks: Iterable[Chunk]) -> int:
        """Write chunks packed for this view, all together; returns how many rows came.

        Older rows than those held come too: they are counted, and left out.
        """
        return self._write(config, view, layout_of(view), iter(chunks))

    def require_kept(self, config: RepoConfig, view: FeatureView) -> None:
        """Notice a table that was emptied: all its entities would read as unknown.

        Raises:
            StaleFeaturesError: If rows were written to it, and it holds none.
        """
        table = table_of(config, view)
        note = json.loads(self.note(config, _layouts(table)) or "{}")
        if note.get("is_filled") and self.is_empty(config, table):
            raise StaleFeaturesError(f"the online store has lost every row of {view.name}")

    def delete_entities(
        self, config: RepoConfig, view: FeatureView, entity_keys: Sequence[EntityKey]
    ) -> None:
        """Remove entities from one view, whether or not it holds them."""
        self.drop(config, table_of(config, view), [_key(config, key) for key in entity_keys])

    def generation(self, config: RepoConfig, view: FeatureView) -> str:
        """Names what the view's table was made as: another one after it was lost or redefined.

        Whoever remembers what was written here must forget it when this changes.
        """
        self._ready.discard((table_of(config, view), layout_of(view).id))  # It may be lost by now.
        return self._prepare(config, view, layout_of(view))

    def _write(
        self, config: RepoConfig, view: FeatureView, layout: Layout, chunks: Iterator[Chunk]
    ) -> int:
        table = table_of(config, view)
        first = next(chunks, None)
        if first is None:
            return 0
        if (table, layout.id) not in self._ready:
            self._prepare(config, view, layout, is_filled=True)
            self._ready.add((table, layout.id))
        return self.put(config, table, chain([first], chunks))

    def _prepare(
        self, config: RepoConfig, view: FeatureView, layout: Layout, *, is_filled: bool = False
    ) -> str:
        """Table and layout note, made where they are not there; returns the generation."""
        table = table_of(config, view)
        is_new = self.create(config, table)
        held = "{}" if is_new else self.note(config, _layouts(table)) or "{}"
        known = json.loads(held)
        if known.get("current") != layout.text:
            texts = [text for text in known.get("layouts", []) if text != layout.text]
            known |= {"generation": uuid.uuid4().hex, "current": layout.text}
            known["layouts"] = [*texts, layout.text]
        if is_filled:
            known["is_filled"] = True
        if json.dumps(known) != held:
            self.note(config, _layouts(table), json.dumps(known))
        generation: str = known["generation"]
        return generation

    def _known(self, config: RepoConfig, view: FeatureView) -> Mapping[bytes, Layout]:
        """All layouts this view's records ever had, read again: someone may have added one."""
        note = json.loads(self.note(config, _layouts(table_of(config, view))) or "{}")
        layouts = [layout_from(text) for text in note.get("layouts", [])]
        return {layout.id: layout for layout in layouts}

    def _forget(self, config: RepoConfig, view: FeatureView) -> None:
        table = table_of(config, view)
        self._ready = {(name, layout) for name, layout in self._ready if name != table}
        self.drop(config, table, None)
        self.note(config, _layouts(table), "{}")

    def _now(self, stamp: str | None) -> datetime:
        """The shop's now, by the stamp beside the values."""
        if stamp is None:
            return wall_now()
        if self._stamp is None or self._stamp[0] != stamp:
            content = json.loads(stamp)
            moment = date.fromisoformat(content["event_date"])
            self._stamp = (stamp, content.get("clock", StoreStamp.clock), moment)
        return shop_now(wall_now(), clock=self._stamp[1], last_date=self._stamp[2])


def table_of(config: RepoConfig, view: FeatureView) -> str:
    """What a view's table is called, in every store."""
    return f"{config.project}_{view.name}"


def _layouts(table: str) -> str:
    return f"layouts:{table}"


def _key(config: RepoConfig, key: EntityKey) -> bytes:
    serialized: bytes = serialize_entity_key(
        key, entity_key_serialization_version=config.entity_key_serialization_version
    )
    return serialized


def _microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a naive time is UTC, as everywhere in Feast."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND
