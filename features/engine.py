"""Feast's materialization, as a stream: newest rows out of Parquet, packed, into the online store.

What differs from Feast's local engine: rows stay Arrow from the file to the store, are never all in
memory, and are read and packed while the ones before are written. Views it has no faster way for
(transformations, other sources) it hands to Feast's.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _get_column_names

from features.ahead import ahead
from features.newest import newest_rows
from features.packed_store import PackedOnlineStore
from features.packing import Chunk
from features.sending import chunks_of_batch


class PackedComputeEngineConfig(FeastConfigBaseModel):
    """Nothing to set."""

    type: str = "features.engine.PackedComputeEngine"


class PackedComputeEngine(LocalComputeEngine):
    """Streams plain feature views over Parquet into a packed online store."""

    def __init__(self, **rest: Any) -> None:
        rest.pop("type", None)
        super().__init__(**rest)

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **rest: Any
    ) -> LocalMaterializationJob:
        view = task.feature_view
        if not self._is_plain(view):
            return super()._materialize_one(registry, task, **rest)
        entities = [registry.get_entity(name, task.project) for name in view.entities]
        try:
            chunks = ahead(_chunks(view, entities, task))
            self.online_store.write(self.repo_config, view, chunks)
            status, error = MaterializationJobStatus.SUCCEEDED, None
        # Feast's contract: a job carries its error, and the caller raises it.
        except Exception as failure:
            status, error = MaterializationJobStatus.ERROR, failure
        name = f"{view.name}-{task.start_time}-{task.end_time}"
        return LocalMaterializationJob(job_id=name, status=status, error=error)

    def _is_plain(self, view: Any) -> bool:
        source = getattr(view, "batch_source", None)
        return (
            type(view) is FeatureView
            and isinstance(self.online_store, PackedOnlineStore)
            and isinstance(source, FileSource)
            and source.path.endswith(".parquet")
            and "://" not in source.path
            and not source.created_timestamp_column
            and bool(view.join_keys)
            and view.online
            and not view.offline
        )


def _chunks(view: FeatureView, entities: list[Any], task: MaterializationTask) -> Iterator[Chunk]:
    keys, features, moments, _ = _get_column_names(view, entities)
    named = dict(view.batch_source.field_mapping or {})
    batches = newest_rows(
        view.batch_source.path,
        keys=keys,
        columns=features,
        moments=moments,
        start=task.start_time,
        end=task.end_time,
    )
    for batch in batches:
        names = [named.get(name, name) for name in batch.schema.names]
        renamed = pa.RecordBatch.from_arrays(batch.columns, names=names)
        yield from chunks_of_batch(view, renamed, moments=named.get(moments, moments))
