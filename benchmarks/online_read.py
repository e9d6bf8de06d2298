"""How long does a read of 100 rows x 50 features take, against Feast's Python path?

    python benchmarks/online_read.py [--requests 200] [--rounds 3]

46 numbers, a string, a timestamp and two lists of 64 floats a row; 5,000 entities; the same rows in
Feast's own online store and in ours, on SQLite, PostgreSQL and Redis. The paths take turns, request
by request, so that they meet the same noise. Over HTTP each store has a server process of its own:
Feast's application, ours with the route that `vitrine features` puts before Feast's. Answers are
compared before anything is measured.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from feast import FeatureStore

from benchmarks import wide
from benchmarks.machine import keep, machine, summary
from benchmarks.materialize import addresses
from features.quiet import quiet
from features.reading import read_view

ENTITIES = 5_000
ROWS = 100
WARM_UP = 20
_NULL_TIMESTAMP = -9_223_372_036_854_775_808
REFS = [f"{wide.VIEW}:{name}" for name in wide.FIFTY]
Ask = Callable[[list[str]], object]
Timed = tuple[Ask, Callable[[], float]]
"""How to ask, and the CPU seconds so far of the process that answers."""


def in_process(ours: FeatureStore, peer: FeatureStore) -> dict[str, Ask]:
    """The paths: what is called, and what its caller gets."""
    view = ours.get_feature_view(wide.VIEW)
    sample = wide.part(wide.FIFTY, 0, 5_000)
    types = {name: sample.schema.field(name).type for name in wide.FIFTY}

    def answer(store: FeatureStore, ids: list[str]) -> object:
        return store.get_online_features(REFS, entity_rows={"user_id": ids})

    return {
        "Feast: protobuf": lambda ids: answer(peer, ids).proto,
        "Feast: to_dict": lambda ids: answer(peer, ids).to_dict(),
        "ours: protobuf": lambda ids: answer(ours, ids).proto,
        "ours: to_dict": lambda ids: answer(ours, ids).to_dict(),
        "ours: Arrow": lambda ids: read_view(ours, view, ids, types=types, now=wide.END),
    }


def measure(
    paths: Mapping[str, Timed], *, requests: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """p50 and p99 in milliseconds, and by CPU, of every path and round; the paths take turns."""
    drawn = random.Random(7)
    times: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in paths}
    for number in range(rounds):
        print(f"  {', '.join(paths)}: round {number + 1}", file=sys.stderr, flush=True)
        for name in paths:
            times[name].append([])
        for _ in range(requests + WARM_UP * (number == 0)):
            ids = [f"user-{n:08d}" for n in drawn.sample(range(ENTITIES), ROWS)]
            for name, (ask, cpu) in paths.items():
                cpu_began, began = cpu(), time.perf_counter()
                ask(ids)
                seconds = time.perf_counter() - began
                times[name][number].append((seconds * 1e3, (cpu() - cpu_began) * 1e3))
    for each in times.values():
        del each[0][:WARM_UP]
    return {
        name: {
            f"p{p}_{what}": [float(np.percentile(np.array(r)[:, at], p)) for r in each]
            for at, what in enumerate(("ms", "cpu_ms"))
            for p in (50, 99)
        }
        for name, each in times.items()
    }


@contextlib.contextmanager
def served(folder: Path, address: str, *, is_ours: bool) -> Iterator[Timed]:
    """Feast's feature server in a process of its own, and a client that keeps its connection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(folder), address, str(int(is_ours))]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)
    try:
        client = _connected(port, process)

        def ask(ids: list[str], path: str = "/get-online-features") -> object:
            body = json.dumps({"features": REFS, "entities": {"user_id": ids}})
            headers = {"content-type": "application/json"}
            client.request("POST", path, body, headers)
            return client.getresponse().read()

        yield ask, lambda: _cpu_seconds(process.pid)
        client.close()
    finally:
        process.terminate()
        process.wait()


def _cpu_seconds(pid: int) -> float:
    """What all threads of a process have had of the CPU, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _connected(port: int, process: subprocess.Popen) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.suppress(OSError):
            client.request("GET", "/health")
            client.getresponse().read()
            return client
        time.sleep(0.2)
    raise SystemExit("the feature server did not start")


def serve(folder: Path, address: str, *, is_ours: bool, port: int) -> None:
    """What the child does."""
    import uvicorn
    from feast.feature_server import get_app

    store = wide.open_store(folder, address, is_ours=is_ours)
    app = get_app(store)
    if is_ours:
        from domain.garbage import settle
        from features.read_route import answer_from_columns

        answer_from_columns(app, store)
        answer_the_same(app, store)
        settle()
    # The client's connection must outlive the start of the other server.
    quiet_server = {"log_level": "error", "access_log": False, "timeout_keep_alive": 600}
    uvicorn.run(app, host="127.0.0.1", port=port, **quiet_server)


def answer_the_same(app: object, store: object) -> None:
    """A route that reads the same question and answers with bytes that are there already.

    What is left is the server's own: no store behind it could make HTTP any faster.
    """
    from fastapi import FastAPI, Response
    from feast.feature_server import GetOnlineFeaturesRequest

    from features.json_answer import json_of

    ids = [f"user-{n:08d}" for n in range(ROWS)]
    response = store.get_online_features(REFS, {"user_id": ids})  # type: ignore[attr-defined]
    answer = json_of(response)
    assert isinstance(app, FastAPI)

    @app.post("/the-same")
    async def the_same(request: GetOnlineFeaturesRequest) -> Response:
        return Response(answer, media_type="application/json")


def run(folder: Path, address: str, asked: argparse.Namespace) -> dict[str, dict]:
    """All paths on one store, each with its ratios."""
    kind = address.partition("://")[0] if "://" in address else "sqlite"
    print(f"{kind}: filling both stores", file=sys.stderr, flush=True)
    path = folder / "rows.parquet"
    stores = [wide.open_store(folder, address, is_ours=is_ours) for is_ours in (True, False)]
    for store in stores:
        with quiet():
            store.apply(wide.definitions(path, wide.FIFTY))
            store.materialize(wide.START, wide.END)
    paths = in_process(*stores)
    ids = [f"user-{n:08d}" for n in range(1_000)]
    if paths["ours: to_dict"](ids) != paths["Feast: to_dict"](ids):
        raise SystemExit(f"{address}: ours and Feast's answers differ")
    timed = {name: (ask, time.process_time) for name, ask in paths.items()}
    found = measure(timed, requests=asked.requests, rounds=asked.rounds)
    with (
        served(folder, address, is_ours=True) as ours,
        served(folder, address, is_ours=False) as peer,
    ):
        if not _same_answers(ours[0](ids), peer[0](ids)):
            raise SystemExit(f"{address}: answers over HTTP differ")
        ask_for_the_same = (lambda ids: ours[0](ids, path="/the-same"), ours[1])
        http_paths = {"Feast: HTTP": peer, "ours: HTTP": ours, "floor: HTTP": ask_for_the_same}
        found |= measure(http_paths, requests=asked.requests, rounds=asked.rounds)
    return with_ratios(found)


def _same_answers(ours: object, peer: object) -> bool:
    """Feature by feature: Feast answers them in an order of its own."""
    named = []
    for answer in (ours, peer):
        names = json.loads(answer)["metadata"]["feature_names"]
        named.append(dict(zip(names, _rows(answer), strict=True)))
    return named[0] == named[1]


def _rows(answer: object) -> list[list[object]]:
    """The values, with Feast's way to write a null timestamp taken back."""
    return [
        [None if value == _NULL_TIMESTAMP else value for value in vector["values"]]
        for vector in json.loads(answer)["results"]
    ]


def table(result: dict) -> list[str]:
    """The results as Markdown."""
    lines = [
        "# Online reads",
        "",
        f"`python benchmarks/online_read.py`: {ROWS} random rows x 50 features of {ENTITIES:,}",
        f"entities, {result['requests']} requests a path and round, {result['rounds']} rounds.",
        "Milliseconds; the median of the rounds, and their least and most.",
        "",
        f"Machine: {result['machine']}; load averages at the end {result['load_averages']}.",
        "",
        "*x* is Feast's over this one, the median (least-most) of the rounds' ratios.",
        "",
        "| store | path | p50 | p99 (min-max) | CPU p50 | CPU p99 "
        "| p50 x | p99 x | CPU p50 x | CPU p99 x |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for store, paths in result["stores"].items():
        for name, each in paths.items():
            p99 = each["p99_ms"]
            cpu = [f"{each[f'p{p}_cpu_ms']['median']:.2f}" for p in (50, 99)]
            keys = ("p50_ms", "p99_ms", "p50_cpu_ms", "p99_cpu_ms")
            ratios = [each[f"{key}_ratio"] for key in keys]
            lines.append(
                f"| {store} | {name} | {each['p50_ms']['median']:.2f} "
                f"| {p99['median']:.2f} ({p99['min']:.2f}-{p99['max']:.2f}) | "
                + "".join(f"{value} | " for value in cpu)
                + " | ".join(f"{r['median']:.1f} x ({r['min']:.1f}-{r['max']:.1f})" for r in ratios)
                + " |"
            )
    return [*lines, "", *result["notes"], *limits(result["stores"])]


def limits(stores: Mapping[str, dict]) -> list[str]:
    """Where p99 is less than ten times lower: what ten times would be, and what it is made of."""
    lines = ["", "Less than ten times lower at p99, and why:", ""]
    for store, paths in stores.items():
        for kind in ("to_dict", "HTTP", "protobuf"):
            ours, peer = paths[f"ours: {kind}"], paths[f"Feast: {kind}"]
            if ours["p99_ms_ratio"]["median"] >= TARGET:
                continue
            wanted = peer["p99_ms"]["median"] / TARGET
            read, median = (
                paths[name]["p50_ms"]["median"] for name in ("ours: Arrow", f"ours: {kind}")
            )
            made_of = {
                "to_dict": f"{read:.1f} ms are the read as Arrow, {median - read:.1f} its 5,000 "
                "Python values with a status and a moment each, which the caller asked for",
                "HTTP": f"{read:.1f} ms are the read as Arrow, {_floor(paths)}, the rest is the "
                "text of 5,000 values with their statuses",
                "protobuf": f"{read:.1f} ms are the read as Arrow, {median - read:.1f} a message "
                "of 5,000 values with a moment each",
            }[kind]
            lines.append(
                f"- {store}, {kind}: it would be {wanted:.1f} ms, and is "
                f"{ours['p99_ms']['median']:.1f}. Of the {median:.1f} at the median {made_of}."
            )
    return lines


def _floor(paths: Mapping[str, dict]) -> str:
    if "floor: HTTP" not in paths:
        return "some are the server's"
    floor = paths["floor: HTTP"]
    return f"{floor['p50_ms']['median']:.1f} the server's own (p99 {floor['p99_ms']['median']:.1f})"


TARGET = 10
NOTES = [
    "- *protobuf*: `get_online_features(...).proto`; *to_dict*: `.to_dict()`, as most callers do;",
    "  *Arrow*: what `FeatureReader`, and so the pipeline, does; *HTTP*: `/get-online-features`.",
    "- *CPU* is that of the process that answers, threads and all, for one request: other work on",
    "  the machine changes it little. Under load p99 by the clock is the scheduler's.",
    "- *floor*: our server reads the same question and answers with bytes made beforehand.",
    "- *Arrow* is compared with Feast's `to_dict`: Feast's fastest way to values.",
    "- The answers are equal but for one thing: a null timestamp is null over HTTP with ours, and",
    "  -9223372036854775808 with Feast's store.",
]
AGAINST = {"protobuf": "protobuf", "to_dict": "to_dict", "Arrow": "to_dict", "HTTP": "HTTP"}


def with_ratios(paths: dict[str, dict]) -> dict[str, dict]:
    """Each path against Feast's that gives its caller as much, round by round."""
    told: dict[str, dict] = {}
    for name, each in paths.items():
        against = paths[f"Feast: {AGAINST[name.split(': ')[1]]}"]
        told[name] = {key: summary(values) for key, values in each.items()}
        for key in each:
            pairs = zip(against[key], each[key], strict=True)
            told[name][f"{key}_ratio"] = summary([peer / ours for peer, ours in pairs])
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="*", default=["sqlite", "postgresql", "redis"])
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if asked.serve:
        folder, address, is_ours, port = asked.serve
        serve(Path(folder), address, is_ours=is_ours == "1", port=int(port))
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as aside:
        folder = Path(aside)
        wide.write(folder / "rows.parquet", wide.FIFTY, ENTITIES)
        with addresses(folder, asked.stores) as found:
            stores: dict[str, dict] = {}
            for name, at in found.items():
                stores[name] = run(folder, at, asked)
                save(stores, asked)  # Whoever stops it has the stores that are done.


def save(stores: dict[str, dict], asked: argparse.Namespace) -> None:
    """Write down what is measured so far."""
    about = machine("feast", "pyarrow", "duckdb", "redis", "psycopg")
    result = {
        "machine": about,
        "load_averages": [round(load, 1) for load in os.getloadavg()],
        "requests": asked.requests,
        "rounds": asked.rounds,
        "stores": stores,
        "notes": NOTES,
    }
    keep("online_read", result, table(result))


if __name__ == "__main__":
    main()
