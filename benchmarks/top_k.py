"""Exact top-10 by inner product: ours beside faiss-flat, torch and numpy, and beside plain reading.

    python -m benchmarks.top_k [--items 100000] [--width 64] [--rounds 7]

faiss is not in the lock: ``uv pip install faiss-cpu``, or its rows are left out. Everybody is a
process of its own, with as many threads as are said; they take turns on the same embeddings, one
query and batches. Before anything is measured all answers are compared with a brute force in
float64. The bound is the fastest way to read the item matrix once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from benchmarks.machine import RESULTS, keep, machine, summary
from benchmarks.pictures import bars

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Search = Callable[[Floats], Ids]

K: Final = 10
# Batch → searches a turn.
BATCHES: Final = {1: 40, 32: 10, 256: 4}
OURS, READING = "ours", "reading once"
BYTES_ALONE: Final = "product alone, int8"
PRODUCTS: Final = (BYTES_ALONE, "product alone, float32")
FAISS_AS_IT_IS, FAISS_BEST = "faiss-flat", "faiss-flat, BLAS"
PEERS: Final = (
    OURS,
    "ours, float32",
    FAISS_AS_IT_IS,
    FAISS_BEST,
    "torch.matmul + topk",
    "numpy argpartition",
    READING,
    *PRODUCTS,
)
BOUNDS: Final = (READING, *PRODUCTS)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NOTES = """\
- Times: median (least-most) of the rounds' medians. Ratios: of the two medians of a round, median
  (least-most) over the rounds. CPU time counts all threads and says more where other work runs.
- *ours* computes its coarse scores in int8 where the CPU has VNNI, else as *ours, float32*. Both
  give the same answers, which are those of the float64 brute force.
- *faiss-flat* is `IndexFlatIP` as `faiss-cpu` comes, in 1.15.1 with loops of its own below 128,000
  queries. *faiss-flat, BLAS* sends 20 and more through OpenBLAS (`distance_compute_blas_threshold`)
  with AVX-512 kernels, which this OpenBLAS does not find on every CPU that has them.
- One query is bounded by *reading once*, the fastest way to read the items' float32, items × width
  × 4 bytes; ours reads a quarter of that. A batch is bounded by its product, 2 × items × width ×
  queries operations: nobody who computes all scores in float32 is faster than *product alone,
  float32*, and ours computes what *product alone, int8* does."""


def embeddings(rows: int, width: int, *, seed: int) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)


def ours(items: Floats, *, is_plain: bool) -> Search:
    from models.top_k import VectorIndex

    index = VectorIndex(items, is_rounded=False if is_plain else None)
    return lambda queries: index.best(queries, k=K).item_index_BK


def faiss_flat(items: Floats, *, threads: int, least_for_blas: int | None) -> Search:
    import faiss

    faiss.omp_set_num_threads(threads)
    if least_for_blas is not None:
        faiss.cvar.distance_compute_blas_threshold = least_for_blas
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    return lambda queries: index.search(queries, K)[1]


def torch_topk(items: Floats) -> Search:
    import torch

    items_EV = torch.from_numpy(items).T

    def search(queries: Floats) -> Ids:
        scores = torch.from_numpy(queries) @ items_EV
        return scores.topk(K, dim=1).indices.numpy()

    return search


def numpy_argpartition(items: Floats) -> Search:
    def search(queries: Floats) -> Ids:
        scores = -(queries @ items.T)
        best = np.argpartition(scores, K - 1, axis=1)[:, :K]
        order = np.take_along_axis(scores, best, axis=1).argsort(axis=1)
        return np.take_along_axis(best, order, axis=1)

    return search


def reading(items: Floats) -> Search:
    """Whichever is faster here: torch's sum, or BLAS's product of the matrix with itself."""
    import torch

    whole = torch.from_numpy(items)
    flat = items.ravel()
    ways = (whole.sum, lambda: flat @ flat)
    taken = [min(timed(way)[0] for _ in range(20)) for way in ways]
    way = ways[int(np.argmin(taken))]

    def search(queries: Floats) -> Ids:
        way()
        return np.zeros((len(queries), 0), dtype=np.int64)

    return search


def product(items: Floats, *, is_bytes: bool) -> Search:
    """All scores of a batch and nothing else, a chunk at a time over the one before."""
    import torch

    whole = torch.from_numpy(items)
    if is_bytes:
        whole = (whole * (127 / whole.abs().max())).round().to(torch.int8)
    chunks = torch.split(whole, 8192)
    multiply, dtype = (torch._int_mm, torch.int32) if is_bytes else (torch.mm, whole.dtype)

    def search(queries: Floats) -> Ids:
        queries_EB = torch.from_numpy(queries.T * 20).to(whole.dtype).contiguous()
        scores = torch.empty(len(chunks[0]), len(queries), dtype=dtype)
        for chunk in chunks:
            multiply(chunk, queries_EB, out=scores[: len(chunk)])
        return np.zeros((len(queries), 0), dtype=np.int64)

    return search


def make(peer: str, items: Floats, threads: int) -> Search:
    if peer.startswith("faiss"):
        least = 20 if peer == FAISS_BEST else None
        return faiss_flat(items, threads=threads, least_for_blas=least)
    makers: dict[str, Callable[[], Search]] = {
        OURS: lambda: ours(items, is_plain=False),
        "ours, float32": lambda: ours(items, is_plain=True),
        "torch.matmul + topk": lambda: torch_topk(items),
        "numpy argpartition": lambda: numpy_argpartition(items),
        READING: lambda: reading(items),
        **{name: partial(product, items, is_bytes=name == BYTES_ALONE) for name in PRODUCTS},
    }
    return makers[peer]()


def timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def serve(asked: argparse.Namespace) -> None:
    """What a child does: for each line, a batch and a file or nothing, search and say how long."""
    if find_spec("torch"):
        import torch

        torch.set_num_threads(asked.threads)
    search = make(asked.peer, embeddings(asked.items, asked.width, seed=1), asked.threads)
    batches = {size: embeddings(size, asked.width, seed=2 + size) for size in BATCHES}
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        queries = batches[task["batch"]]
        if "file" in task:
            np.save(task["file"], search(queries))
            print("[]", flush=True)
            continue
        search(queries)
        taken = [timed(lambda q=queries: search(q)) for _ in range(BATCHES[task["batch"]])]
        print(json.dumps(taken), flush=True)


class Peer:
    """A child that searches when it is told to."""

    def __init__(self, name: str, asked: argparse.Namespace, threads: int) -> None:
        environment = dict(os.environ) | dict.fromkeys(THREADS, str(threads))
        if name == FAISS_BEST and has("avx512_f"):
            environment["OPENBLAS_CORETYPE"] = "SKYLAKEX"
        given = {"peer": name, "threads": threads, "items": asked.items, "width": asked.width}
        options = [text for key, value in given.items() for text in (f"--{key}", str(value))]
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.top_k", *options],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def ask(self, **task: object) -> list[tuple[float, float]]:
        """Wall and CPU seconds of each search of a turn; of a task with a file, none."""
        into = self._pipe(self.process.stdin)
        into.write(json.dumps(task) + "\n")
        into.flush()
        return json.loads(self._read())

    def close(self) -> None:
        """Let it end."""
        self._pipe(self.process.stdin).close()
        self.process.wait()

    def _read(self) -> str:
        line = self._pipe(self.process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}")
        return line

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise RuntimeError("the child has no pipe")
        return pipe


def has(capability: str) -> bool:
    import torch

    return bool(torch.cpu.get_capabilities().get(capability))


def check(peers: list[Peer], asked: argparse.Namespace, folder: Path) -> None:
    """All find what a brute force in float64 finds; float32 may swap what it cannot tell apart."""
    items = embeddings(asked.items, asked.width, seed=1).astype(np.float64)
    for batch in BATCHES:
        exact = embeddings(batch, asked.width, seed=2 + batch).astype(np.float64) @ items.T
        right = np.argsort(-exact, axis=1, kind="stable")[:, :K]
        best = np.take_along_axis(exact, right, axis=1)
        for peer in peers:
            file = folder / "ids.npy"
            peer.ask(batch=batch, file=str(file))
            ids = np.load(file, allow_pickle=False)
            same = np.array_equal(ids, right)
            if peer.name.startswith("ours") and not same:
                raise RuntimeError(f"{peer.name}, batch {batch}: not the brute force's answer")
            if not np.allclose(np.take_along_axis(exact, ids, axis=1), best, rtol=1e-5, atol=0):
                raise RuntimeError(f"{peer.name}, batch {batch}: not the best items")


def measure(asked: argparse.Namespace, threads: int) -> dict[str, object]:
    """Batch → who → milliseconds of a search, and how many times ours they are."""
    everybody = [name for name in PEERS if is_here(name)]
    peers = [Peer(name, asked, threads) for name in everybody]
    with tempfile.TemporaryDirectory() as folder:
        check([peer for peer in peers if peer.name not in BOUNDS], asked, Path(folder))
    names = {size: [each for each in everybody if takes_part(each, size)] for size in BATCHES}
    wall: dict[int, dict[str, list[float]]]
    wall, cpu = ({size: {each: [] for each in names[size]} for size in BATCHES} for _ in range(2))
    for _ in range(asked.rounds):
        for size in BATCHES:
            for peer in (each for each in peers if each.name in names[size]):
                taken = np.array(peer.ask(batch=size)) * 1e3
                wall[size][peer.name].append(float(np.median(taken[:, 0])))
                cpu[size][peer.name].append(float(np.median(taken[:, 1])))
    for peer in peers:
        peer.close()
    return {
        str(size): {
            name: {
                "wall_ms": summary(wall[size][name]),
                "cpu_ms": summary(cpu[size][name]),
                "times_ours": summary(over(wall[size][name], wall[size][OURS])),
                "times_ours_by_cpu": summary(over(cpu[size][name], cpu[size][OURS])),
            }
            for name in names[size]
        }
        for size in BATCHES
    }


def takes_part(name: str, batch: int) -> bool:
    """One query is bounded by reading, a batch by its product; faiss's BLAS is for 20 and more."""
    if name in PRODUCTS or name == FAISS_BEST:
        return batch >= 20
    return batch == 1 or name != READING


def is_here(name: str) -> bool:
    if name == BYTES_ALONE:
        return has("avx512_vnni")
    return not name.startswith("faiss") or find_spec("faiss") is not None


def over(one: list[float], other: list[float]) -> list[float]:
    return [a / b for a, b in zip(one, other, strict=True)]


def shown(spread: Mapping[str, float], digits: int) -> str:
    least, most = (f"{spread[name]:.{digits}f}" for name in ("min", "max"))
    return f"{spread['median']:.{digits}f} ({least}-{most})"


def verdicts(by_threads: dict) -> list[str]:
    """One line a number of threads and of queries: ours beside the bound, and beside faiss."""
    lines = []
    for threads, by_batch in by_threads.items():
        for size, by_name in by_batch.items():
            parts = []
            if READING in by_name:
                times = 1 / by_name[READING]["times_ours"]["median"]
                parts.append(f"ours takes {times:.2f} times *{READING}*")
            for name in (FAISS_AS_IT_IS, FAISS_BEST):
                if name in by_name:
                    parts.append(f"*{name}* {by_name[name]['times_ours']['median']:.2f} times ours")
            lines.append(f"- Threads: {threads}, queries at once: {size}: {', '.join(parts)}.")
    return lines


def table(result: dict) -> list[str]:
    """The result as a page."""
    lines = [
        "# Exact top-10 by inner product",
        "",
        "![Milliseconds of everybody](top_k.png)",
        "",
        f"`python -m benchmarks.top_k --items {result['items']} --width {result['width']}`: normal",
        f"embeddings, {result['rounds']} rounds.",
        "",
        f"Machine: {result['machine']}.",
        "",
        *verdicts(result["threads"]),
    ]
    for threads, by_batch in result["threads"].items():
        for size, by_name in by_batch.items():
            lines += [
                "",
                f"## Threads: {threads}, queries at once: {size}",
                "",
                "| who | ms | its time / ours | CPU ms | its CPU / ours |",
                "|---|---|---|---|---|",
            ]
            lines += [
                f"| {name} | {shown(each['wall_ms'], 2)} | {shown(each['times_ours'], 2)} "
                f"| {shown(each['cpu_ms'], 2)} | {shown(each['times_ours_by_cpu'], 2)} |"
                for name, each in by_name.items()
            ]
    if "skipped" in result:
        lines += ["", f"**{result['skipped']}**"]
    return [*lines, "", *NOTES.splitlines()]


def draw(result: dict, path: Path) -> None:
    """Milliseconds of everybody, a panel for each number of threads and of queries."""
    panels = {
        f"threads: {threads}, queries at once: {size}": {
            name: each["wall_ms"]["median"] for name, each in by_name.items()
        }
        for threads, by_batch in result["threads"].items()
        for size, by_name in by_batch.items()
    }
    sizes = len(next(iter(result["threads"].values())))
    bars(panels, path, label="ms, less is better", ours=("ours", "ours, float32"), columns=sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peer:
        serve(asked)
        return
    result: dict[str, object] = {"items": asked.items, "width": asked.width, "k": K}
    packages = ["torch", "numpy"]
    if find_spec("faiss"):
        packages.append("faiss-cpu")
    else:
        result["skipped"] = "faiss is not installed (uv pip install faiss-cpu): not measured"
        print(result["skipped"])
    result["machine"] = {**machine(*packages), "avx512_vnni": has("avx512_vnni")}
    result["rounds"] = asked.rounds
    threads = range(1, min(2, len(os.sched_getaffinity(0))) + 1)
    result["threads"] = {str(n): measure(asked, n) for n in threads}
    keep("top_k", result, table(result))
    draw(result, RESULTS / "top_k.png")


if __name__ == "__main__":
    main()
