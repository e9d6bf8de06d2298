"""What limits training on a GPU: arithmetic, or launching kernels? And does compiling pay?

    python -m benchmarks.gpu [--data FOLDER]

Each case is a published set (a folder in FOLDER, ``models.sets``) and a shape of ``next_item``,
trained as ``models.loop`` trains, eager and compiled. Of a step: seconds (median of the epochs
after the first), the kernels it launches and how long they run (torch's profiler), its operations
(torch's flop counter). The two limits are measured in the same run: the seconds of launching a
kernel that does next to nothing, and the operations a second of a large bfloat16 product.

Without a GPU it says so and measures nothing. Writes ``benchmarks/results/gpu.json`` and ``.md``.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import keep, machine, summary, where
from models.device import Device, choose_device, compiled_or_eager
from models.ranks import Ranks
from models.retrieval.config import NextItemConfig
from models.retrieval.moments import Events
from models.retrieval.next_item import NextItemNetwork, make_loss, positions_of
from models.retrieval.positions import PositionBatch, Positions
from models.sets import PublishedSet, read_set
from models.steps import Steps

BESIDE: Final = Path(__file__).parents[2] / "shared" / "data"
SMALL: Final = NextItemConfig(
    width=64, blocks=2, heads=1, dropout=0.2, negatives=256, batch_targets=2_048
)
CASES: Final = (
    ("amazon_2014_beauty", "width 64, 256 negatives", SMALL),
    ("amazon_2014_beauty", "width 64, full softmax", replace(SMALL, negatives=0)),
    (
        "movielens_1m",
        "width 128, histories of 200, full softmax",
        replace(SMALL, width=128, heads=2, history_length=200, negatives=0, batch_targets=4_096),
    ),
)
WAYS: Final = ("eager", "compiled")
EPOCHS: Final = 4
PROFILED: Final = 20
PRODUCT: Final = 8_192
LAUNCHES: Final = 1_000
ROUNDS: Final = 20


def seconds_of(call: Callable[[], object]) -> float:
    """Until the GPU is done."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def limits() -> dict[str, float]:
    """Seconds of a launch, as Python and torch make it and as a replayed graph does; FLOP/s."""
    tiny = torch.zeros(1, device="cuda")

    def launches() -> None:
        for _ in range(LAUNCHES):
            tiny.add_(1.0)

    launches()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launches()
    left, right = (
        torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=torch.bfloat16) for _ in range(2)
    )
    torch.mm(left, right)
    product_s = statistics.median(seconds_of(lambda: torch.mm(left, right)) for _ in range(10))
    return {
        "launch_s": statistics.median(seconds_of(launches) for _ in range(ROUNDS)) / LAUNCHES,
        "replay_s": statistics.median(seconds_of(graph.replay) for _ in range(ROUNDS)) / LAUNCHES,
        "flop_per_s": 2 * PRODUCT**3 / product_s,
    }


class Training:
    """One case: its rows, its network, and its steps."""

    def __init__(
        self, published: PublishedSet, config: NextItemConfig, device: Device, *, is_compiled: bool
    ) -> None:
        events = Events.of(published.examples, published.catalog)
        size = len(published.catalog)
        self.positions: Positions = positions_of(
            events.user, events.item, catalog_size=size, config=config, device=device
        )
        torch.manual_seed(config.seed)
        network = NextItemNetwork(config, size).to(device.device)
        loss_fn = make_loss(config, self.positions.draw_V, device)
        loop = config.loop
        optimizer = torch.optim.AdamW(network.parameters(), lr=loop.learning_rate, fused=True)
        self.steps: Steps[PositionBatch] = Steps(
            network,
            optimizer,
            compiled_or_eager(loss_fn) if is_compiled else loss_fn,
            config=loop,
            device=device,
            ranks=Ranks(),
            stage="gpu",
        )
        self.epoch_number = 0

    def epoch(self) -> None:
        """Every batch once."""
        self.some(len(self.positions))

    def some(self, count: int) -> None:
        """The first batches of an epoch."""
        self.epoch_number += 1
        total = EPOCHS * len(self.positions)
        for number, batch in enumerate(self.positions.epoch(self.epoch_number)):
            if number == count:
                break
            self.steps.step(batch, number=number, total=total)

    def measured(self, first_s: float) -> dict[str, Any]:
        """Epochs timed, then a few steps looked into."""
        epochs_s = [seconds_of(self.epoch) for _ in range(EPOCHS - 1)]
        steps = len(self.positions)
        count = min(PROFILED, steps)
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            self.some(count)
            torch.cuda.synchronize()
        kernels = [one for one in seen.events() if one.device_type.name == "CUDA"]
        return {
            "steps": steps,
            "first_epoch_s": round(first_s, 3),
            "epoch_s": summary(epochs_s),
            "targets_per_s": round(self.positions.target_count / statistics.median(epochs_s)),
            "step_s": statistics.median(epochs_s) / steps,
            "kernels": len(kernels) / count,
            "busy_s": sum(one.time_range.elapsed_us() for one in kernels) / 1e6 / count,
            "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        }

    def flop(self) -> float:
        """Floating-point operations of a step."""
        counter = FlopCounterMode(display=False)
        with counter:
            self.some(PROFILED)
        return counter.get_total_flops() / min(PROFILED, len(self.positions))


def measure(published: PublishedSet, config: NextItemConfig, device: Device) -> dict[str, Any]:
    """Both ways of running one case."""
    found: dict[str, Any] = {
        "flop": Training(published, config, device, is_compiled=False).flop(),
    }
    for way in WAYS:
        torch.cuda.reset_peak_memory_stats()
        training = Training(published, config, device, is_compiled=way == "compiled")
        found[way] = training.measured(seconds_of(training.epoch))
        sys.stderr.write(f"{published.name}, {way}: {found[way]}\n")
    return found


def table(result: dict[str, Any]) -> list[str]:
    """The result as a page."""
    told = result["limits"]
    titles = ["set", "shape", "way", "targets/s", "ms a step", "kernels a step", "GPU busy"]
    titles += ["launch limit", "arithmetic limit", "first epoch, s", "GiB"]
    lines = [
        "# What limits training on a GPU",
        "",
        f"`python -m benchmarks.gpu`, {result['where']}; {result['machine']}.",
        "",
        f"A kernel that does nothing: {told['launch_s'] * 1e6:.2f} µs when torch launches it,",
        f"{told['replay_s'] * 1e6:.2f} µs in a replayed graph. A large bfloat16 product:",
        f"{told['flop_per_s'] / 1e12:.0f} TFLOP/s.",
        "",
        f"| {' | '.join(titles)} |",
        "|---" * len(titles) + "|",
    ]
    for case in result["cases"]:
        lines += [_line(case, way, told) for way in WAYS]
    lines += [
        "",
        "- *GPU busy*: the share of a step in which a kernel runs; *launch limit*: what launching",
        "  the step's kernels, each doing nothing, would take, over what the step takes;",
        "  *arithmetic limit*: the step's operations a second over those of the large product.",
        f"- Median of {EPOCHS - 1} epochs after the first, which holds the compiling.",
    ]
    return lines


def _line(case: dict[str, Any], way: str, limits: dict[str, float]) -> str:
    told = case[way]
    step_s, kernels = told["step_s"], told["kernels"]
    cells = [case["set"], case["shape"], way, f"{told['targets_per_s']:,}"]
    cells += [f"{1e3 * step_s:.2f}", f"{kernels:.0f}", f"{told['busy_s'] / step_s:.0%}"]
    cells += [f"{kernels * limits['launch_s'] / step_s:.0%}"]
    cells += [f"{case['flop'] / step_s / limits['flop_per_s']:.2%}"]
    cells += [f"{told['first_epoch_s']:.1f}", f"{told['memory_gib']:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure every case, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=BESIDE, help="where the sets' folders are")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu: there is none; not measured")
        return
    device = choose_device()
    result: dict[str, Any] = {"where": where(), "machine": machine("torch", "numpy")}
    result |= {"limits": limits(), "cases": []}
    for name, shape, config in CASES:
        found = measure(read_set(asked.data / name), config, device)
        result["cases"].append({"set": name, "shape": shape, **found})
        keep("gpu", result, table(result))


if __name__ == "__main__":
    main()
