"""How many rows a second reach the online store, against ``feast materialize`` as shipped?

    python benchmarks/materialize.py [--rows 1000000] [--peer-rows 20000] [--rounds 3]

Ten features, two of them lists of 64 floats, out of one Parquet file into SQLite, PostgreSQL and
Redis. Both sides go through ``FeatureStore.materialize`` with Feast's DuckDB offline store; only
online store and engine differ. Each measurement is a process of its own, so that its memory is its
own. Afterwards every row of ours is read and compared with the file, and a sample of both sides is
compared value for value.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import keep, machine, summary

SAMPLE = 1_000
QUARTER = 4
LARGER = 2


def one(folder: Path, address: str, *, is_ours: bool, is_over: bool, rows: int) -> dict[str, float]:
    """Materialize once in this process, into an emptied store or over what it holds."""
    from benchmarks import wide
    from features.quiet import quiet

    path = folder / f"rows-{rows}.parquet"
    store = wide.open_store(folder, address, is_ours=is_ours)
    with quiet():
        if not is_over:
            store.apply(wide.definitions(path, wide.MIXED))
            store.teardown()
        store.apply(wide.definitions(path, wide.MIXED))
        before = _resident_mb()
        began, cpu = time.perf_counter(), time.process_time()
        store.materialize(wide.START, wide.END)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before_mb": before,
    }


def compare(folder: Path, address: str, *, rows: int, peer_rows: int) -> dict[str, int]:
    """Read all of ours, and a sample of both; returns how many rows were the same.

    Raises:
        SystemExit: If one row differs.
    """
    import pyarrow as pa

    from benchmarks import wide
    from features.reading import read_view

    ours = wide.open_store(folder, address, is_ours=True)
    view = ours.get_feature_view(wide.VIEW)
    for start in range(0, rows, 50_000):
        part = wide.part(wide.MIXED, start, min(50_000, rows - start))
        types = {name: part.schema.field(name).type for name in wide.MIXED}
        read, _, _ = read_view(ours, view, part["user_id"].to_pylist(), types=types, now=wide.END)
        if not pa.table(read).equals(part.select(list(types)).cast(pa.schema(types))):
            raise SystemExit(f"{address}: rows from {start} on differ from the file")
    ids = [f"user-{n:08d}" for n in random.Random(7).sample(range(peer_rows), SAMPLE)]
    answers = []
    for is_ours in (True, False):
        store = wide.open_store(folder, address, is_ours=is_ours)
        refs = [f"{wide.VIEW}:{name}" for name in wide.MIXED]
        answers.append(store.get_online_features(refs, entity_rows={"user_id": ids}).to_dict())
    if answers[0] != answers[1]:
        raise SystemExit(f"{address}: ours and Feast's answers differ")
    return {"ours_rows_equal_to_file": rows, "rows_equal_to_feast": SAMPLE}


def measure(name: str, address: str, folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """All measurements on one store: Feast and ours take turns."""

    def run(rows: int, *, is_ours: bool, is_over: bool = False) -> dict[str, float]:
        who = "ours" if is_ours else "Feast"
        print(f"{name}: {rows:,} rows, {who}", file=sys.stderr, flush=True)
        flags = [str(int(is_ours)), str(int(is_over))]
        command = [sys.executable, __file__, "--one", str(folder), address, *flags, str(rows)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(answer.splitlines()[-1])
        return found | {
            "rows_per_s": rows / found["seconds"],
            "rows_per_cpu_s": rows / found["cpu_s"],
        }

    quarter = run(asked.rows // QUARTER, is_ours=True)
    larger = run(asked.peer_rows * LARGER, is_ours=False)
    turns = [
        (run(asked.peer_rows, is_ours=False), run(asked.rows, is_ours=True))
        for _ in range(asked.rounds)
    ]
    peers, ours = ([turn[side] for turn in turns] for side in (0, 1))
    over = run(asked.rows, is_ours=True, is_over=True)
    return {
        "rows": asked.rows,
        "ours_rows_per_s": summary([each["rows_per_s"] for each in ours]),
        "ours_cpu_s": summary([each["cpu_s"] for each in ours]),
        "ours_over_rows_per_s": round(over["rows_per_s"], 1),
        "feast_rows_per_s": {
            asked.peer_rows: summary([each["rows_per_s"] for each in peers]),
            asked.peer_rows * LARGER: round(larger["rows_per_s"], 1),
        },
        "ratio": summary([our["rows_per_s"] / peer["rows_per_s"] for peer, our in turns]),
        "cpu_ratio": summary(
            [our["rows_per_cpu_s"] / peer["rows_per_cpu_s"] for peer, our in turns]
        ),
        "ours_peak_mb": {
            asked.rows // QUARTER: round(quarter["peak_mb"]),
            asked.rows: round(max(each["peak_mb"] for each in ours)),
        },
        "ours_before_mb": round(quarter["before_mb"]),
        "feast_rows_per_cpu_s": {
            asked.peer_rows: summary([each["rows_per_cpu_s"] for each in peers]),
            asked.peer_rows * LARGER: round(larger["rows_per_cpu_s"], 1),
        },
        "feast_peak_mb": {asked.peer_rows * LARGER: round(larger["peak_mb"])},
        **compare(folder, address, rows=asked.rows, peer_rows=asked.peer_rows),
    }


@contextlib.contextmanager
def addresses(folder: Path, names: list[str]) -> Iterator[dict[str, str]]:
    """An address of each store that is reachable; the others are said on standard error."""
    import pytest

    from tests import servers

    servers_of = {"postgresql": servers.postgres_url, "redis": servers.redis_url}
    with contextlib.ExitStack() as open_:
        found = {}
        for name in names:
            try:
                is_file = name == "sqlite"
                found[name] = (
                    str(folder / "online.db")
                    if is_file
                    else open_.enter_context(servers_of[name]())
                )
            except pytest.skip.Exception as skipped:
                print(f"{name} is left out: {skipped}", file=sys.stderr)
        yield found


def table(result: dict) -> list[str]:
    """The results as Markdown."""
    lines = [
        "# Materialization",
        "",
        "`python benchmarks/materialize.py`: one Parquet file, ten features (two are lists of 64",
        "floats), through `FeatureStore.materialize`; ours against Feast's own store and engine.",
        "",
        f"Machine: {result['machine']}.",
        "",
        f"Load averages at the end: {result['load_averages']}.",
        "",
        "| store | rows | ours, rows/s | ours over old rows | Feast, rows/s | ratio | ratio by CPU "
        "| ours, peak MB at a quarter / all | Feast, peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in result["stores"].items():
        (few, rate), (many, larger) = each["feast_rows_per_s"].items()
        small, large = each["ours_peak_mb"].values()
        lines.append(
            f"| {name} | {each['rows']:,} | {spread(each['ours_rows_per_s'])} "
            f"| {each['ours_over_rows_per_s']:,.0f} "
            f"| {spread(rate)} of {few:,}; {larger:,.0f} of {many:,} "
            f"| {spread(each['ratio'], 1)} x | {spread(each['cpu_ratio'], 1)} x "
            f"| {small:,} / {large:,} "
            f"| {next(iter(each['feast_peak_mb'].values())):,} |"
        )
    return [*lines, "", *NOTES]


def spread(found: dict[str, float], digits: int = 0) -> str:
    """Median, and least and most."""
    median, least, most = (f"{found[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least}-{most})"


NOTES = [
    "- Each round fills an emptied store, Feast's first, then ours; its ratio is of the two.",
    "  *Over old rows*: once more into the full store, where every event time is compared.",
    "- Every row of ours was read back and equals the file; 1,000 sampled rows equal Feast's.",
    "- Feast runs on fewer rows: all would take it a quarter of an hour and more a store. Its",
    "  rows/s on twice as many stand beside: what a call costs at all weighs little by then.",
    "- Feast runs with `online_write_batch_size: 10_000`: with its default it writes the first",
    "  chunk of the Arrow table and drops the others without an error.",
    "- Seconds are those of the whole call: reading, packing, writing, committing, the registry.",
    "  *By CPU*: rows per CPU second of the writing process, which other work disturbs less; what",
    "  the server of PostgreSQL and Redis uses is in neither side's.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="*", default=["sqlite", "postgresql", "redis"])
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.one:
        folder, address, is_ours, is_over, rows = asked.one
        flags = {"is_ours": is_ours == "1", "is_over": is_over == "1"}
        found = one(Path(folder), address, **flags, rows=int(rows))
        print(json.dumps(found))
        return
    from benchmarks import wide

    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as aside:
        folder = Path(aside)
        few = {asked.peer_rows, asked.peer_rows * LARGER}
        for rows in few | {asked.rows, asked.rows // QUARTER}:
            wide.write(folder / f"rows-{rows}.parquet", wide.MIXED, rows)
        with addresses(folder, asked.stores) as found:
            stores: dict[str, dict] = {}
            for name, where in found.items():
                stores[name] = measure(name, where, folder, asked)
                save(stores)  # Whoever stops it has the stores that are done.


def save(stores: dict[str, dict]) -> None:
    """Write down what is measured so far."""
    about = machine("feast", "pyarrow", "duckdb", "redis", "psycopg")
    loads = [round(load, 1) for load in os.getloadavg()]
    result = {"machine": about, "load_averages": loads, "stores": stores, "notes": NOTES}
    keep("materialize", result, table(result))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
