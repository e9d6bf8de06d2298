"""Point-in-time join: our offline store beside Feast's own dask and DuckDB stores, on one file.

    python benchmarks/history.py [asked rows] [--keep]

Each store runs in a process of its own, one after the other, through ``get_historical_features``.
Every value of every row of the peers is compared with ours. A peer that cannot (memory, time) is
asked for half as much, until it can, beside ours on the same. Prints a table; with ``--keep`` also
writes ``benchmarks/results/history.json`` and ``.md``.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64

OURS = "ours"
STORES = {
    OURS: "features.offline.AsOfDuckDBOfflineStore",
    "feast duckdb": "duckdb",
    "feast dask": "dask",
}
REPEATS = {OURS: 5, "feast duckdb": 3, "feast dask": 3}
LIMIT_S = 600
LIMIT_GIB = 14
FEWEST = 50_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 100
RESULTS = Path(__file__).parent / "results"
NOTES = f"""Each process may use {LIMIT_GIB} GiB and {LIMIT_S} s. CPU seconds say more than seconds
where other work ran.

Feast's two stores pair every asked row with every row of its entity before they keep one. Its dask
store holds the pairs with all their features, several times over: 1,000,000 asked rows × 10 rows ×
50 features × 8 bytes are 3.7 GiB a copy. Ours sorts moments and places only, of the entities asked
about, and fetches the features by place.

What else was tried, in bare DuckDB 2.0 and CPU seconds for 1,000,000 (5,000) asked rows. Chosen:
2.5 (0.7). All 50 columns handed to the as-of join, as before: 3.1 (2.2). That, of the asked
entities' rows only: 3.6 (0.8). Rows numbered by `row_number()`: 2.5 (1.3). polars' `join_asof`, and
numpy's `searchsorted` with a gather: 2.3, too little to leave Feast's own DuckDB job for.
"""


@dataclass(frozen=True)
class Shape:
    """What is joined with what. Half of the features are whole numbers, half are floats."""

    asked_rows: int
    features: int = 50
    entities: int = 100_000
    rows_per_entity: int = 10
    unknown_share: float = 0.01


def names(shape: Shape) -> list[str]:
    return [f"feature_{number:02}" for number in range(shape.features)]


def write_rows(folder: Path, shape: Shape) -> None:
    """Feature rows, sorted by time as a shop writes them; each entity has one on the first day."""
    rng = np.random.default_rng(1)
    count = shape.entities * shape.rows_per_entity
    days = rng.integers(1, DAYS, (shape.entities, shape.rows_per_entity))
    days[:, 0] = 0
    days = days.ravel()
    microseconds = days * 86_400_000_000 + rng.permutation(count)
    order = np.argsort(microseconds)
    entity = np.repeat(np.arange(shape.entities), shape.rows_per_entity)[order]
    columns = {
        "user_id": pa.array(np.char.add("u", entity.astype(str))),
        "event_timestamp": moments(microseconds[order]),
    }
    for number, name in enumerate(names(shape)):
        if number % 2:
            columns[name] = pa.array(rng.integers(0, 1_000, count))
        else:
            columns[name] = pa.array(rng.random(count), mask=rng.random(count) < 0.05)
    pq.write_table(pa.table(columns), folder / "rows.parquet", compression="zstd")


def moments(microseconds: np.ndarray) -> pa.Array:
    start = int(FIRST.timestamp()) * 1_000_000
    return pa.array(start + microseconds).cast(pa.timestamp("us", tz="UTC"))


def asked(shape: Shape) -> pd.DataFrame:
    """Random entities at random moments after the first day; no two rows are the same.

    Feast's dask store drops an asked row whose entity has rows but none that is true, and one of
    two equal rows: here is neither, so that all three have the same to do.
    """
    rng = np.random.default_rng(2)
    entity = rng.integers(0, shape.entities, shape.asked_rows).astype(str)
    is_unknown = rng.random(shape.asked_rows) < shape.unknown_share
    microseconds = rng.integers(2, DAYS, shape.asked_rows) * 86_400_000_000
    microseconds += rng.permutation(shape.asked_rows)
    return pd.DataFrame(
        {
            "user_id": np.where(is_unknown, np.char.add("x", entity), np.char.add("u", entity)),
            "event_timestamp": moments(microseconds).to_pandas(),
            "row": np.arange(shape.asked_rows),
        }
    )


def open_store(folder: Path, offline: str, shape: Shape) -> FeatureStore:
    store = FeatureStore(
        config=RepoConfig(
            project="history",
            provider="local",
            registry=str(folder / f"registry-{offline.rsplit('.', 1)[-1]}.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": offline},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    source = FileSource(
        name="rows",
        path=str(folder / "rows.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )
    kinds = (Float64, Int64)
    fields = [Field(name=n, dtype=kinds[at % 2]) for at, n in enumerate(names(shape))]
    view = FeatureView(
        name="measures", entities=[user], ttl=timedelta(days=365), schema=fields, source=source
    )
    store.apply([user, source, view])
    return store


def run_one(folder: Path, name: str, shape: Shape) -> None:
    """Measure one store in this process; write what it answered, print how long it took."""
    limit = LIMIT_GIB * 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    warnings.simplefilter("ignore")
    store = open_store(folder, STORES[name], shape)
    frame = asked(shape)
    references = [f"measures:{feature}" for feature in names(shape)]
    seconds, cpu_seconds = [], []
    for _ in range(REPEATS[name]):
        began, cpu_began = time.perf_counter(), time.process_time()
        joined = store.get_historical_features(entity_df=frame, features=references).to_arrow()
        seconds.append(round(time.perf_counter() - began, 3))
        cpu_seconds.append(round(time.process_time() - cpu_began, 3))
        if sum(seconds) + seconds[-1] > LIMIT_S * 0.8:
            break
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    pq.write_table(joined, folder / f"{name}.parquet")
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib}
    print(json.dumps({"asked_rows": shape.asked_rows, **found}))


def measure(folder: Path, name: str, shape: Shape) -> dict[str, object]:
    command = [sys.executable, __file__, str(shape.asked_rows), "--one", name, "--in", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT_S} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    found = json.loads(done.stdout.splitlines()[-1])
    medians = {"median_s": found["seconds"], "median_cpu_s": found["cpu_seconds"]}
    return {**found, **{name: statistics.median(values) for name, values in medians.items()}}


def as_many_as_it_can(folder: Path, name: str, shape: Shape) -> dict[str, object]:
    """Measure a peer, asking for half as many rows whenever it fails; ours beside it."""
    failed = {}
    while "failed" in (found := measure(folder, name, shape)):
        failed[str(shape.asked_rows)] = found["failed"]
        if shape.asked_rows <= FEWEST:
            return {"could_not": failed}
        shape = replace(shape, asked_rows=shape.asked_rows // 2)
    ours = measure(folder, OURS, shape)
    return {
        **found,
        "could_not": failed,
        "ours": ours,
        "ratio": round(found["median_s"] / ours["median_s"], 1),
        "cpu_ratio": round(found["median_cpu_s"] / ours["median_cpu_s"], 1),
        "values_that_differ": differing_values(folder, name, shape),
    }


def differing_values(folder: Path, name: str, shape: Shape) -> int:
    """How many values of the peer's rows are not ours; a row that is missing counts whole."""
    ours, theirs = (
        pl.read_parquet(folder / f"{who}.parquet")
        .sort("row")
        .select("row", "user_id", pl.col(names(shape)).cast(pl.Float64).fill_nan(None))
        for who in (OURS, name)
    )
    if len(ours) != len(theirs):
        return abs(len(ours) - len(theirs)) * shape.features
    return sum(int(ours[column].ne_missing(theirs[column]).sum()) for column in ours.columns)


def report(shape: Shape) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, shape)
        found = {name: as_many_as_it_can(folder, name, shape) for name in STORES if name != OURS}
    return {
        "machine": f"{len(os.sched_getaffinity(0))} cores",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("feast", "duckdb", "dask", "pandas", "pyarrow")},
        },
        "limits": {"gib": LIMIT_GIB, "seconds": LIMIT_S},
        "shape": asdict(shape),
        "peers": found,
    }


def as_table(found: dict[str, object]) -> str:
    shape = found["shape"]
    lines = [
        "| store | asked rows | median s (all) | median CPU s | peak MiB | times ours (CPU) "
        "| values that differ |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, peer in found["peers"].items():
        lines += [
            f"| {name} | {int(rows):,} | {why} | | | | |" for rows, why in peer["could_not"].items()
        ]
        if "ours" in peer:
            ratio = f"{peer['ratio']} ({peer['cpu_ratio']})"
            lines += [as_line(OURS, peer["ours"], "1", "")]
            lines += [as_line(name, peer, ratio, peer["values_that_differ"])]
    what = (
        f"Point-in-time join of {shape['features']} features over "
        f"{shape['entities'] * shape['rows_per_entity']:,} feature rows "
        f"({shape['entities']:,} entities, {shape['rows_per_entity']} rows each), "
        f"{found['machine']}"
    )
    return "\n".join([what, "", *lines, "", NOTES])


def as_line(name: str, found: dict, ratio: str, differ: object) -> str:
    runs = ", ".join(f"{second:.2f}" for second in found["seconds"])
    cells = (
        name,
        f"{found['asked_rows']:,}",
        f"{found['median_s']:.2f} ({runs})",
        f"{found['median_cpu_s']:.2f}",
        found["peak_mib"],
        ratio,
        differ,
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asked_rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--one", choices=STORES)
    parser.add_argument("--in", dest="folder", type=Path)
    told = parser.parse_args()
    shape = Shape(told.asked_rows)
    if told.one:
        run_one(told.folder, told.one, shape)
        return
    found = report(shape)
    print(as_table(found))
    if told.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "history.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (RESULTS / "history.md").write_text(as_table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
