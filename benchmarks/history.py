"""Point-in-time join: our offline store beside Feast's own dask and DuckDB stores, on one file.

    python benchmarks/history.py [asked rows]

Each join is a process of its own, through ``get_historical_features``; ours and the peer take
turns. Every value of every row of the peers is compared with ours. A peer that cannot (memory,
time) is asked for half as much, until it can, beside ours on the same.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64

from benchmarks.machine import keep, machine, summary

OURS = "ours"
STORES = {
    OURS: "features.offline.AsOfDuckDBOfflineStore",
    "feast duckdb": "duckdb",
    "feast dask": "dask",
}
ROUNDS = {"feast duckdb": 3, "feast dask": 2}
LIMIT_S = 300
LIMIT_GIB = 14
FEWEST = 50_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 100
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
    """Join once in this process; write what was answered, print how long it took."""
    limit = LIMIT_GIB * 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    warnings.simplefilter("ignore")
    store = open_store(folder, STORES[name], shape)
    frame = asked(shape)
    references = [f"measures:{feature}" for feature in names(shape)]
    began, cpu_began = time.perf_counter(), time.process_time()
    joined = store.get_historical_features(entity_df=frame, features=references).to_arrow()
    found = {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(time.process_time() - cpu_began, 3),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    pq.write_table(joined, folder / f"{name}.parquet")
    print(json.dumps(found))


def measure(folder: Path, name: str, shape: Shape) -> dict[str, float]:
    """One join in a process of its own.

    Raises:
        RuntimeError: If it could not; says why.
    """
    print(f"{name}: {shape.asked_rows:,} asked rows", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, str(shape.asked_rows), "--one", name, "--in", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {LIMIT_S} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        errors = [line for line in lines if "Error" in line and "nanobind" not in line]
        raise RuntimeError((errors or lines or [f"exit {done.returncode}"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def as_many_as_it_can(folder: Path, name: str, shape: Shape) -> dict[str, object]:
    """The peer and ours, in turns, on as many rows as the peer can join: halved until it can."""
    could_not = {}
    while True:
        try:
            first = measure(folder, name, shape)
        except RuntimeError as error:
            could_not[str(shape.asked_rows)] = str(error)
            if shape.asked_rows <= FEWEST:
                return {"could_not": could_not}
            shape = replace(shape, asked_rows=shape.asked_rows // 2)
        else:
            break
    turns = [(first, measure(folder, OURS, shape))]
    while len(turns) < ROUNDS[name]:
        turns.append((measure(folder, name, shape), measure(folder, OURS, shape)))
    peers, ours = ([turn[side] for turn in turns] for side in (0, 1))
    return {
        "asked_rows": shape.asked_rows,
        "could_not": could_not,
        "peer": runs(peers),
        "ours": runs(ours),
        "ratio": summary([peer["seconds"] / our["seconds"] for peer, our in turns]),
        "cpu_ratio": summary([peer["cpu_seconds"] / our["cpu_seconds"] for peer, our in turns]),
        "values_that_differ": differing_values(folder, name, shape),
    }


def runs(found: list[dict[str, float]]) -> dict[str, object]:
    """Every run's seconds, and the most memory of one."""
    return {
        "seconds": summary([run["seconds"] for run in found]),
        "cpu_seconds": summary([run["cpu_seconds"] for run in found]),
        "peak_mib": max(run["peak_mib"] for run in found),
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
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        folder = Path(name)
        write_rows(folder, shape)
        found = {name: as_many_as_it_can(folder, name, shape) for name in STORES if name != OURS}
    return {
        "machine": machine("feast", "duckdb", "dask", "pandas", "pyarrow"),
        "limits": {"gib": LIMIT_GIB, "seconds": LIMIT_S},
        "shape": asdict(shape),
        "load_averages_at_the_end": os.getloadavg(),
        "peers": found,
    }


def table(found: dict[str, object]) -> list[str]:
    shape = found["shape"]
    lines = [
        "# Point-in-time join",
        "",
        f"`python benchmarks/history.py`: {shape['features']} features over "
        f"{shape['entities'] * shape['rows_per_entity']:,} feature rows "
        f"({shape['entities']:,} entities, {shape['rows_per_entity']} rows each).",
        "Seconds are medians (least-most) of rounds in which the two took turns.",
        "",
        f"Machine: {found['machine']}; load averages at the end "
        f"{[round(load, 1) for load in found['load_averages_at_the_end']]}.",
        "",
        "| store | asked rows | s | CPU s | peak MiB | over ours | by CPU | values that differ |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, peer in found["peers"].items():
        lines += [
            f"| {name} | {int(rows):,} | {w} | | | | | |" for rows, w in peer["could_not"].items()
        ]
        if "ours" not in peer:
            continue
        rows = f"{peer['asked_rows']:,}"
        ratios = f"{spread(peer['ratio'])} x | {spread(peer['cpu_ratio'])} x"
        lines += [f"| {OURS} | {rows} | {cells(peer['ours'])} | 1 | 1 | |"]
        lines += [
            f"| {name} | {rows} | {cells(peer['peer'])} | {ratios} | {peer['values_that_differ']} |"
        ]
    return [*lines, "", *NOTES.splitlines()]


def cells(found: dict[str, object]) -> str:
    return f"{spread(found['seconds'])} | {spread(found['cpu_seconds'])} | {found['peak_mib']:,}"


def spread(found: dict[str, float]) -> str:
    return f"{found['median']:.1f} ({found['min']:.1f}-{found['max']:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asked_rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--one", choices=STORES)
    parser.add_argument("--in", dest="folder", type=Path)
    told = parser.parse_args()
    shape = Shape(told.asked_rows)
    if told.one:
        run_one(told.folder, told.one, shape)
        return
    found = report(shape)
    keep("history", found, table(found))


if __name__ == "__main__":
    main()
