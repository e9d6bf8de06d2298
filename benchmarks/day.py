"""What does one day cost, hop by hop, and does it cost more in a long history?

    python benchmarks/day.py [--events 10000000] [--only volume|history]

``volume``: one day of so many events (a simulated day, copied over new users and sessions until
there are enough) through ``vitrine ingest``, ``check landed``, ``build``, ``check features`` and
``materialize``: rows per second and the peak resident memory of the command and its children.

``history``: the simulated shop's day 10 and day 300 through the same commands, after a history of
9 and of 299 days: seconds of the work itself (from each command's receipt, start-up left out).

Writes ``benchmarks/results/day.json`` and ``.md``. Ten million events need about 10 GB of disk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import psutil
from machine import keep, machine, summary

from simulator.config import PRESETS
from simulator.shop import simulate

HOPS: Final = (
    ("land", ("ingest",)),
    ("check landed", ("check", "landed")),
    ("dbt and publish", ("build",)),
    ("check features", ("check", "features")),
    ("feast", ("materialize",)),
)
SEED_SHOP: Final = {
    "user_count": 4_000,
    "item_count": 2_000,
    "sessions_per_user_day": 0.5,
    "arrival_days": 0,
}


class PeakMemory(threading.Thread):
    """Samples the resident memory of a process and its children, 20 times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self._is_over, self.peak = psutil.Process(pid), threading.Event(), 0

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._is_over.wait(0.05):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self.peak = max(self.peak, sum(one.memory_info().rss for one in tree))
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> float:
        """Gibibytes at the peak."""
        self._is_over.set()
        self.join()
        return self.peak / 2**30


def vitrine(*arguments: str, environment: dict[str, str]) -> dict[str, object]:
    """Run one command; its receipt with ``wall_s`` and ``peak_gib`` added."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("vitrine"), *arguments],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    memory = PeakMemory(process.pid)
    memory.start()
    out, err = process.communicate()
    wall, peak = time.perf_counter() - begun, memory.stop()
    if process.returncode:
        raise SystemExit(f"vitrine {' '.join(arguments)} failed: {err[-2_000:]}{out[-2_000:]}")
    receipt = json.loads(out.strip().splitlines()[-1])
    return {**receipt, "wall_s": round(wall, 2), "peak_gib": round(peak, 2)}


def make_day(folder: Path, *, events: int) -> int:
    """Write a shop in the ``files`` form whose last day has about ``events`` events."""
    first = date(2026, 1, 1)
    config = replace(PRESETS["base"], first_day=first, last_day=first, **SEED_SHOP)
    shop = simulate(config, seed=7)
    seed_events, items, users = shop.events(first), shop.items(first), shop.users(first)
    copies = max(1, round(events / seed_events.num_rows))
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.register("seed_events", seed_events)
        connection.register("items", items)
        connection.execute(f"COPY items TO '{folder / 'items.parquet'}' (FORMAT parquet)")
        connection.execute(f"CREATE TABLE copies AS SELECT unnest(range({copies})) AS copy")
        connection.register("users", users)
        connection.execute(
            "COPY (SELECT * REPLACE (user_id || '-' || copy AS user_id) FROM users, copies) "
            f"TO '{folder / 'users.parquet'}' (FORMAT parquet)"
        )
        connection.execute(
            "COPY (SELECT * REPLACE (event_id || '-' || copy AS event_id, user_id || '-' || copy "
            "AS user_id, session_id || '-' || copy AS session_id, request_id || '-' || copy AS "
            f"request_id) FROM seed_events, copies) TO '{folder / 'events.parquet'}' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
        (count,) = connection.execute(
            f"SELECT count(*) FROM '{folder / 'events.parquet'}'"
        ).fetchall()[0]
    return int(count)


def volume(*, events: int, scratch: Path) -> dict[str, object]:
    """One big day, hop by hop."""
    rows = make_day(scratch / "shop", events=events)
    environment = {
        "VITRINE_HOME": str(scratch / "home"),
        "VITRINE_SOURCE": "files",
        "VITRINE_DATA": str(scratch / "shop"),
    }
    hops = []
    for name, arguments in HOPS:
        receipt = vitrine(*arguments, "--day", "2026-01-01", environment=environment)
        rate = round(rows / float(receipt["wall_s"]))
        hops.append(
            {
                "hop": name,
                "wall_s": receipt["wall_s"],
                "events_per_s": rate,
                "peak_gib": receipt["peak_gib"],
                "rows_in": receipt.get("rows_in"),
                "rows_out": receipt.get("rows_out"),
            }
        )
        print(f"{name:16} {receipt['wall_s']:8.1f} s {rate:10,} events/s {receipt['peak_gib']} GiB")
    return {"events": rows, "hops": hops}


def history(*, days: tuple[int, ...], scratch: Path, repeats: int = 3) -> dict[str, object]:
    """The same kind of day after a short and after a long history."""
    first = PRESETS["base"].first_day
    found: dict[str, object] = {}
    for number in days:
        environment = {
            "VITRINE_HOME": str(scratch / f"home{number}"),
            "VITRINE_SOURCE": "simulated",
        }
        day = first + timedelta(days=number - 1)
        vitrine("ingest", "--history", "--until", day.isoformat(), environment=environment)
        vitrine("build", "--all", environment=environment)
        vitrine("materialize", environment=environment)
        seconds: dict[str, list[float]] = {}
        for _ in range(repeats):
            for name, arguments in HOPS:
                receipt = vitrine(*arguments, "--day", day.isoformat(), environment=environment)
                seconds.setdefault(name, []).append(float(receipt["seconds"]))
        found[f"day {number}"] = {name: summary(values) for name, values in seconds.items()}
    return found


def _table(result: dict[str, Any]) -> list[str]:
    """The result as a page."""
    lines = ["# One day, hop by hop", "", f"Machine: {result['machine']}."]
    if "volume" in result:
        lines += ["", f"{result['volume']['events']:,} events in one day:", ""]
        lines += ["| hop | seconds | events/s | peak GiB |", "|---|---|---|---|"]
        for each in result["volume"]["hops"]:
            rate = f"{each['events_per_s']:,}"
            lines.append(f"| {each['hop']} | {each['wall_s']} | {rate} | {each['peak_gib']} |")
    if "history" in result:
        days = result["history"]
        lines += ["", "Seconds of the work itself, median (min-max):", ""]
        lines += ["| hop | " + " | ".join(days) + " |", "|---" * (len(days) + 1) + "|"]
        for name, _ in HOPS:
            cells = [
                f"{d[name]['median']} ({d[name]['min']}-{d[name]['max']})" for d in days.values()
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--only", choices=("volume", "history"))
    asked = parser.parse_args()
    result: dict[str, object] = {"machine": machine("duckdb", "polars")}
    with tempfile.TemporaryDirectory() as name:
        if asked.only != "history":
            result["volume"] = volume(events=asked.events, scratch=Path(name) / "volume")
        if asked.only != "volume":
            result["history"] = history(days=(10, 300), scratch=Path(name) / "history")
    keep("day", result, _table(result))


if __name__ == "__main__":
    main()
