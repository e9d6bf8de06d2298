"""How many rows a second reach the online store, against ``feast materialize`` as shipped?

    python benchmarks/materialize.py [--rows 1000000] [--peer-rows 100000] [--runs 3]

Ten features, two of them lists of 64 floats, out of one Parquet file into SQLite, PostgreSQL and
Redis. Both sides go through ``FeatureStore.materialize`` with Feast's DuckDB offline store; only
online store and engine differ. Each measurement is a process of its own, so that its memory is its
own. Afterwards every row of ours is read and compared with the file, and a sample of both sides is
compared value for value.
"""

import argparse
import contextlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from machine import keep, machine, summary

SAMPLE = 1_000
QUARTER = 4


def one(folder: Path, address: str, *, is_ours: bool, rows: int) -> dict[str, float]:
    """Materialize once in this process."""
    import wide

    from features.quiet import quiet

    path = folder / f"rows-{rows}.parquet"
    store = wide.open_store(folder, address, is_ours=is_ours)
    with quiet():
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
    import wide

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
    """All measurements on one store."""

    def run(rows: int, *, is_ours: bool) -> dict[str, float]:
        print(f"{name}: {rows:,} rows, {'ours' if is_ours else 'Feast'}", file=sys.stderr)
        command = [sys.executable, __file__, "--one", str(folder), address, str(int(is_ours))]
        answer = subprocess.run(
            [*command, str(rows)], check=True, capture_output=True, text=True
        ).stdout
        return json.loads(answer.splitlines()[-1])

    quarter = run(asked.rows // QUARTER, is_ours=True)
    ours = [run(asked.rows, is_ours=True) for _ in range(asked.runs)]
    peer_rows = asked.peer_rows * (asked.peer_times if name == "sqlite" else 1)
    peer = run(peer_rows, is_ours=False)
    small = run(asked.peer_rows, is_ours=False) if peer_rows != asked.peer_rows else peer
    rate = summary([asked.rows / each["seconds"] for each in ours])
    return {
        "rows": asked.rows,
        "ours_rows_per_s": rate,
        "ours_seconds": summary([each["seconds"] for each in ours]),
        "ours_cpu_s": summary([each["cpu_s"] for each in ours]),
        "feast_rows": peer_rows,
        "feast_rows_per_s": round(peer_rows / peer["seconds"], 1),
        "feast_small_rows": asked.peer_rows,
        "feast_small_rows_per_s": round(asked.peer_rows / small["seconds"], 1),
        "feast_cpu_s": round(peer["cpu_s"], 2),
        "cpu_ratio": round(
            peer["cpu_s"] / peer_rows * asked.rows / statistics.median(e["cpu_s"] for e in ours), 1
        ),
        "ratio": round(rate["median"] / (peer_rows / peer["seconds"]), 1),
        "ours_peak_mb": {
            asked.rows // QUARTER: round(quarter["peak_mb"]),
            asked.rows: round(max(each["peak_mb"] for each in ours)),
        },
        "ours_before_mb": round(quarter["before_mb"]),
        "feast_peak_mb": {peer_rows: round(peer["peak_mb"])},
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
        "| store | ours, rows/s (min-max) | Feast, rows/s | ratio "
        "| ours, peak MB at a quarter / all | Feast, peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in result["stores"].items():
        rate = each["ours_rows_per_s"]
        small, large = each["ours_peak_mb"].values()
        lines.append(
            f"| {name} | {rate['median']:,.0f} ({rate['min']:,.0f}-{rate['max']:,.0f}) "
            f"| {each['feast_rows_per_s']:,.0f} (of {each['feast_rows']:,}); "
            f"{each['feast_small_rows_per_s']:,.0f} (of {each['feast_small_rows']:,}) "
            f"| {each['ratio']} x (by CPU: {each['cpu_ratio']} x) | {small:,} / {large:,} "
            f"| {next(iter(each['feast_peak_mb'].values())):,} |"
        )
    return [*lines, "", *result["notes"]]


NOTES = [
    "- Every row of ours was read back and equals the file; 1,000 sampled rows equal Feast's.",
    "- Feast runs with `online_write_batch_size: 10_000`: with its default it writes the first",
    "  chunk of the Arrow table and drops the others without an error.",
    "- Seconds are those of the whole call: reading, packing, writing, committing, the registry.",
    "  *By CPU*: CPU seconds of the writing process per row, which other work disturbs less.",
    "- A quarter of the rows is written first; the runs after it write over what is there.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer-times", type=int, default=10, help="SQLite: as many times these.")
    parser.add_argument("--stores", nargs="*", default=["sqlite", "postgresql", "redis"])
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.one:
        folder, address, is_ours, rows = asked.one
        found = one(Path(folder), address, is_ours=is_ours == "1", rows=int(rows))
        print(json.dumps(found))
        return
    import wide

    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as aside:
        folder = Path(aside)
        sizes = {asked.rows, asked.rows // QUARTER, asked.peer_rows}
        for rows in sizes | {asked.peer_rows * asked.peer_times}:
            wide.write(folder / f"rows-{rows}.parquet", wide.MIXED, rows)
        with addresses(folder, asked.stores) as found:
            stores = {name: measure(name, where, folder, asked) for name, where in found.items()}
    about = machine("feast", "pyarrow", "duckdb", "redis", "psycopg")
    result = {"machine": about, "stores": stores, "notes": NOTES}
    keep("materialize", result, table(result))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
