"""The rows that the store benchmarks move: made from a number, the same every time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String, UnixTimestamp

from features.store import online_store_config

END: Final = datetime(2026, 5, 1, tzinfo=UTC)
START: Final = END - timedelta(days=2)
VIEW: Final = "wide"
_BLOCK: Final = 5_000
"""Rows are made by the block: a row is the same however many there are."""

MIXED: Final[dict[str, FeastType]] = {
    "count_7d": Int64,
    "count_30d": Int64,
    "count_90d": Int64,
    "price_mean": Float64,
    "price_max": Float64,
    "is_known": Bool,
    "category": String,
    "last_timestamp": UnixTimestamp,
    "taste": Array(Float32),
    "style": Array(Float32),
}
"""Ten features, two of them lists of 64 floats."""

FIFTY: Final[dict[str, FeastType]] = {
    **{f"count_{n}": Int64 for n in range(23)},
    **{f"mean_{n}": Float64 for n in range(23)},
    "category": String,
    "last_timestamp": UnixTimestamp,
    "taste": Array(Float32),
    "style": Array(Float32),
}
"""Fifty features: 46 numbers, a string, a timestamp and two lists of 64 floats."""


def _column(rng: np.random.Generator, dtype: FeastType, size: int) -> pa.Array:
    mask = rng.random(size) < 0.02
    if dtype == Int64:
        return pa.array(rng.integers(0, 1_000, size), mask=mask)
    if dtype == Float64:
        return pa.array(rng.random(size) * 1e4, mask=mask)
    if dtype == Bool:
        return pa.array(rng.random(size) < 0.5, mask=mask)
    if dtype == String:
        return pa.array(rng.choice(["lights", "chairs", "kitchen & table"], size), mask=mask)
    if dtype == UnixTimestamp:
        seconds = int(END.timestamp()) - rng.integers(0, 10**7, size)
        return pa.array(seconds, pa.int64(), mask=mask).cast(pa.timestamp("s", tz="UTC"))
    numbers = pa.array(rng.standard_normal(size * 64).astype(np.float32))
    return pa.ListArray.from_arrays(pa.array(np.arange(size + 1, dtype=np.int32) * 64), numbers)


def part(types: dict[str, FeastType], start: int, size: int) -> pa.Table:
    """Rows ``start`` to ``start + size``; ``start`` begins a block."""
    blocks = [_block(types, at) for at in range(start, start + size, _BLOCK)]
    return pa.concat_tables(blocks).slice(0, size).combine_chunks()


def _block(types: dict[str, FeastType], start: int) -> pa.Table:
    size = _BLOCK
    rng = np.random.default_rng([7, start])
    ids = pa.array([f"user-{n:08d}" for n in range(start, start + size)])
    microseconds = rng.integers(0, 86_400_000_000, size) + int(START.timestamp() * 1e6)
    columns = {
        "user_id": ids,
        "event_timestamp": pa.array(microseconds).cast(pa.timestamp("us", tz="UTC")),
        **{name: _column(rng, dtype, size) for name, dtype in types.items()},
    }
    return pa.table(columns)


def write(path: Path, types: dict[str, FeastType], rows: int) -> None:
    """The source file."""
    with pq.ParquetWriter(path, part(types, 0, 1).schema) as writer:
        for start in range(0, rows, 10 * _BLOCK):
            writer.write_table(part(types, start, min(10 * _BLOCK, rows - start)))


def definitions(path: Path, types: dict[str, FeastType]) -> list[Any]:
    """Feast's entity and view of these rows."""
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    source = FileSource(
        name=f"{VIEW}_source",
        path=str(path),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )
    schema = [Field(name=name, dtype=dtype) for name, dtype in types.items()]
    ttl = timedelta(days=36_500)
    return [user, FeatureView(name=VIEW, entities=[user], ttl=ttl, schema=schema, source=source)]


def open_store(folder: Path, address: str, *, is_ours: bool) -> FeatureStore:
    """A Feast repository: our store and engine, or Feast's own of the same kind."""
    if is_ours:
        online = online_store_config(address, home=folder, timeout_s=5.0)
        engine: dict[str, object] = {"type": "features.engine.PackedComputeEngine"}
    else:
        online, engine = _peer(address), {"type": "local"}
    return FeatureStore(
        config=RepoConfig(
            project="ours" if is_ours else "peer",
            provider="local",
            registry=str(folder / f"registry-{is_ours}.db"),
            online_store=online,
            batch_engine=engine,
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
            # Feast's default (no batch size) writes an Arrow table's first chunk and drops the
            # others, silently.
            materialization={"pull_latest_features": True, "online_write_batch_size": 10_000},
            data_quality_monitoring={"auto_baseline": False},
        )
    )


def _peer(address: str) -> dict[str, object]:
    from urllib.parse import urlsplit

    if "://" not in address:
        return {"type": "sqlite", "path": f"{address}.peer"}
    url = urlsplit(address)
    if url.scheme == "redis":
        connection = f"{url.hostname}:{url.port},db={url.path.strip('/')}"
        return {"type": "redis", "connection_string": connection}
    return {
        "type": "postgres",
        "host": url.hostname,
        "port": url.port,
        "database": url.path.strip("/"),
        "user": url.username,
        "password": url.password or "",
        "sslmode": "disable",
    }
