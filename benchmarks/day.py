"""What does one day cost, hop by hop, and does it cost more in a long history?

    python benchmarks/day.py [--events 10000000] [--only volume|history]

``volume``: one day of so many events (a simulated day, copied over new users and sessions until
there are enough) through ``vitrine ingest``, ``check landed``, ``build``, ``check features`` and
``materialize``: rows per second and the peak resident memory of the command and its children.

``history``: day 10 and day 300 of a shop that hands over a file a day, all days alike, through the
same commands, after a history of 9 and of 299 days: seconds of the work itself (from each command's
receipt, start-up left out) and CPU seconds of the whole command, the two shops in turns.

Writes ``benchmarks/results/day.json`` and ``.md``. Ten million events need about 10 GB of disk.
"""

import argparse
import json
import os
import resource
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
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import keep, machine, summary
from simulator.config import PRESETS
from simulator.shop import simulate

HOPS: Final = (
    ("land", ("ingest",)),
    ("check landed", ("check", "landed")),
    ("dbt and publish", ("build",)),
    ("check features", ("check", "features")),
    ("feast", ("materialize",)),
)
FIRST: Final = date(2026, 1, 1)
HISTORY_SHOP: Final = {"user_count": 400, "item_count": 500}
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
    """Run one command; its receipt with ``wall_s``, ``cpu_s`` and ``peak_gib`` added."""
    begun, used = time.perf_counter(), _cpu_of_children()
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
    cpu = _cpu_of_children() - used
    return {
        **receipt,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "peak_gib": round(peak, 2),
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seed(**size: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """One simulated day: events, items, users."""
    config = replace(PRESETS["base"], first_day=FIRST, last_day=FIRST, **SEED_SHOP | size)
    shop = simulate(config, seed=7)
    return shop.events(FIRST), shop.items(FIRST), shop.users(FIRST)


def make_day(folder: Path, *, events: int) -> int:
    """Write a shop in the ``files`` form whose last day has about ``events`` events."""
    seed_events, items, users = _seed()
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
                "cpu_s": receipt["cpu_s"],
                "events_per_s": rate,
                "peak_gib": receipt["peak_gib"],
                "rows_in": receipt.get("rows_in"),
                "rows_out": receipt.get("rows_out"),
            }
        )
        print(f"{name:16} {receipt['wall_s']:8.1f} s {rate:10,} events/s {receipt['peak_gib']} GiB")
    return {"events": rows, "hops": hops}


class Shop:
    """A shop that hands over one file a day; every day is the first one again."""

    def __init__(self, scratch: Path) -> None:
        self._data = scratch / "shop"
        self._data.mkdir(parents=True)
        self._events, items, users = _seed(**HISTORY_SHOP)
        pq.write_table(items, self._data / "items.parquet")
        pq.write_table(users, self._data / "users.parquet")
        self.events_a_day = self._events.num_rows
        self.environment = {
            "VITRINE_HOME": str(scratch / "home"),
            "VITRINE_SOURCE": "files",
            "VITRINE_DATA": str(self._data),
        }

    def hand_over(self, day: date) -> None:
        """Write the day's file."""
        with duckdb.connect() as connection:
            connection.register("first_day", self._events)
            connection.execute(
                f"COPY (SELECT * REPLACE (event_id || '-{day}' AS event_id, "
                f"session_id || '-{day}' AS session_id, request_id || '-{day}' AS request_id, "
                f"event_timestamp + INTERVAL {(day - FIRST).days} DAY AS event_timestamp) "
                f"FROM first_day) TO '{self._data / f'events_{day}.parquet'}' (FORMAT parquet)"
            )


def history(*, days: tuple[int, ...], scratch: Path, repeats: int = 3) -> dict[str, object]:
    """The same kind of day after a short and after a long history."""
    shops = {number: Shop(scratch / str(number)) for number in days}
    for number, shop in shops.items():
        for back in range(number - 1):
            shop.hand_over(FIRST + timedelta(days=back))
        vitrine("ingest", "--history", environment=shop.environment)
        vitrine("build", "--all", environment=shop.environment)
        vitrine("materialize", environment=shop.environment)
        shop.hand_over(FIRST + timedelta(days=number - 1))
    found: dict[int, dict[str, list[dict[str, object]]]] = {number: {} for number in days}
    for _ in range(repeats):
        for number, shop in shops.items():
            day = FIRST + timedelta(days=number - 1)
            for name, arguments in HOPS:
                told = vitrine(*arguments, "--day", day.isoformat(), environment=shop.environment)
                found[number].setdefault(name, []).append(told)
    result: dict[str, object] = {"events_a_day": shops[days[0]].events_a_day}
    for number, hops in found.items():
        result[f"day {number}"] = {
            name: {key: summary([float(one[key]) for one in told]) for key in ("seconds", "cpu_s")}
            for name, told in hops.items()
        }
    return result


def _table(result: dict[str, Any]) -> list[str]:
    """The result as a page."""
    lines = ["# One day, hop by hop", "", f"Machine: {result['machine']}."]
    if "volume" in result:
        lines += ["", f"{result['volume']['events']:,} events in one day:", ""]
        lines += ["| hop | seconds | CPU seconds | events/s | peak GiB |", "|---|---|---|---|---|"]
        for each in result["volume"]["hops"]:
            rate = f"{each['events_per_s']:,}"
            lines.append(
                f"| {each['hop']} | {each['wall_s']} | {each['cpu_s']} | {rate} "
                f"| {each['peak_gib']} |"
            )
    if "history" in result:
        lines += _history_table(result["history"])
    return lines


def _history_table(history: dict[str, Any]) -> list[str]:
    days = {name: hops for name, hops in history.items() if name.startswith("day ")}
    first, last = days
    lines = ["", f"A day of {history['events_a_day']:,} events in a short and in a long history."]
    for key, title in (("seconds", "Seconds of the work itself"), ("cpu_s", "CPU seconds")):
        lines += ["", f"{title}, median (min-max):", "", f"| hop | {first} | {last} | ratio |"]
        lines += ["|---|---|---|---|"]
        for name, _ in HOPS:
            one, other = (days[day][name][key] for day in (first, last))
            cells = [f"{d['median']} ({d['min']}-{d['max']})" for d in (one, other)]
            ratio = other["median"] / one["median"]
            lines.append(f"| {name} | {' | '.join(cells)} | {ratio:.2f} |")
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
