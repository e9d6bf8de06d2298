"""A feature view with a field of every Feast type that shops use, and rows to fill it with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

from features.quiet import quiet
from features.store import online_store_config

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SECONDS = pa.timestamp("us", tz="UTC")
TYPES = {
    "an_int32": (Int32, pa.int32()),
    "an_int64": (Int64, pa.int64()),
    "a_float": (Float32, pa.float32()),
    "a_double": (Float64, pa.float64()),
    "a_bool": (Bool, pa.bool_()),
    "a_string": (String, pa.string()),
    "some_bytes": (Bytes, pa.binary()),
    "a_moment": (UnixTimestamp, SECONDS),
    "int32s": (Array(Int32), pa.list_(pa.int32())),
    "int64s": (Array(Int64), pa.list_(pa.int64())),
    "floats": (Array(Float32), pa.list_(pa.float32())),
    "doubles": (Array(Float64), pa.list_(pa.float64())),
    "bools": (Array(Bool), pa.list_(pa.bool_())),
    "strings": (Array(String), pa.list_(pa.string())),
    "bytes_list": (Array(Bytes), pa.list_(pa.binary())),
    "moments": (Array(UnixTimestamp), pa.list_(SECONDS)),
}
_TEXTS = ("", "a", "käse", "店", "\U0001f9c0 with a 🧀", "nul\0inside", "x" * 300)
_DOUBLES = (0.0, -0.0, 1.5, -2.25e300, 5e-324, float("inf"), float("-inf"), float("nan"))


def _one(rng: np.random.Generator, name: str) -> Any:
    moment = NOW - timedelta(seconds=int(rng.integers(0, 10**9)))
    text = str(rng.choice(_TEXTS))
    return {
        "an_int32": int(rng.integers(-(2**31), 2**31)),
        "an_int64": int(rng.choice([0, -1, 2**63 - 1, -(2**63), 7])),
        "a_float": float(np.float32(rng.normal())),
        "a_double": float(rng.choice(_DOUBLES)),
        "a_bool": bool(rng.integers(0, 2)),
        "a_string": text,
        "some_bytes": text.encode() + bytes([0, 255]),
        "a_moment": moment,
    }[name]


_ELEMENT = {
    "int32s": "an_int32",
    "int64s": "an_int64",
    "floats": "a_float",
    "doubles": "a_double",
    "bools": "a_bool",
    "strings": "a_string",
    "bytes_list": "some_bytes",
    "moments": "a_moment",
}


def row(rng: np.random.Generator) -> dict[str, Any]:
    """Random values; about one in five is null, one in five lists is empty."""
    values: dict[str, Any] = {}
    for name in TYPES:
        if rng.random() < 0.2:
            values[name] = None
        elif name in _ELEMENT:
            count = int(rng.choice([0, 1, 5, 64]))
            values[name] = [_one(rng, _ELEMENT[name]) for _ in range(count)]
        else:
            values[name] = _one(rng, name)
    return values


def table(ids: list[str], moments: list[datetime], *, seed: int) -> pa.Table:
    """A row for each id, with the event time of the same place."""
    rng = np.random.default_rng(seed)
    fields = [pa.field(name, kind) for name, (_, kind) in TYPES.items()]
    schema = pa.schema(
        [pa.field("thing_id", pa.string()), pa.field("event_timestamp", SECONDS), *fields]
    )
    rows = [
        {"thing_id": thing, "event_timestamp": moment, **row(rng)}
        for thing, moment in zip(ids, moments, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema)


def view_over(path: Path, *, ttl: timedelta = timedelta(0), types: Any = None) -> list[Any]:
    """The entity and the view of every type (or of ``types``), reading ``path``."""
    thing = Entity(name="thing", join_keys=["thing_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="every_type",
        entities=[thing],
        ttl=ttl,
        schema=[
            Field(name=name, dtype=dtype)
            for name, dtype in (
                types or {name: dtype for name, (dtype, _) in TYPES.items()}
            ).items()
        ],
        source=FileSource(
            name="every_type_source",
            path=str(path),
            file_format=ParquetFormat(),
            timestamp_field="event_timestamp",
        ),
    )
    return [thing, view]


def open_feast(folder: Path, *, online_store: Any, engine: Any, project: str) -> FeatureStore:
    """A Feast repository of its own, on any online store and engine."""
    return FeatureStore(
        config=RepoConfig(
            project=project,
            provider="local",
            registry=str(folder / "registry.db"),
            online_store=online_store,
            batch_engine=engine,
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
            materialization={"pull_latest_features": True, "online_write_batch_size": 1_000},
            data_quality_monitoring={"auto_baseline": False},
        )
    )


def open_ours(folder: Path, address: str, project: str = "test") -> FeatureStore:
    """A repository on one of our online stores, with our engine."""
    return open_feast(
        folder,
        online_store=online_store_config(address, home=folder, timeout_s=2.0),
        engine={"type": "features.engine.PackedComputeEngine"},
        project=project,
    )


def publish(store: FeatureStore, path: Path, rows: pa.Table) -> None:
    """Write the source's file and materialize all of it."""
    pq.write_table(rows, path)
    with quiet():
        moments = rows["event_timestamp"].to_pylist()
        store.materialize(min(moments), max(moments))
