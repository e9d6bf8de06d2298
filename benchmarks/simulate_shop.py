"""How long does the simulated shop take, on one core?

    OMP_NUM_THREADS=1 python benchmarks/simulate_shop.py [preset] [seed]

Prints one JSON object. ``cpu_s`` is this process's own time, whatever else the machine does. The
file is not named like the room: a script's folder comes first on its import path, and hides it.
"""

import json
import resource
import sys
import time
from collections import Counter

from simulator.config import PRESETS
from simulator.shop import simulate


def measure(preset: str, *, seed: int) -> dict[str, object]:
    """Make every day of a preset once: events, users, items.

    Args:
        preset: A name in ``simulator.config.PRESETS``.
        seed: The shop's seed.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    shop = simulate(PRESETS[preset], seed=seed)
    opened = time.process_time() - cpu
    events: Counter[str] = Counter()
    dirt: Counter[str] = Counter()
    for day in shop.days:
        for counted in shop.events(day)["event_type"].value_counts().to_pylist():
            events[counted["values"]] += counted["counts"]
        dirt.update(shop.planted_dirt(day))
        shop.users(day)
        shop.items(day)
    return {
        "preset": preset,
        "seed": seed,
        "days": len(shop.days),
        "users": len(shop.users(shop.days[-1])),
        "items": len(shop.items(shop.days[-1])),
        "events": dict(events.most_common()),
        "planted_dirt": dict(dirt),
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "cpu_to_open_s": round(opened, 2),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    preset = sys.argv[1] if len(sys.argv) > 1 else "base"
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    print(json.dumps(measure(preset, seed=seed), indent=2))


if __name__ == "__main__":
    main()
