"""What does Airflow add to a day: ``build_features`` in Airflow against the same commands in a row.

    python benchmarks/orchestration.py [--home <a finished shop's state>] [--repeats 5]

Works on a copy; default: the home of the settings. Each time the newest day's published files are
taken away first, so that both sides build the day anew. The script runs what the tasks run:
``vitrine build``, ``check features``, ``materialize``, each a process of its own. Airflow is up and
idle: its start is not counted. A first round warms both up and is not counted either; then they
take turns, and which of them begins changes each round.

CPU seconds are those of a side's processes, all that they started included; Airflow's four parts
count on its side, and idle on while the script runs.

Writes ``benchmarks/results/orchestration.json`` and ``.md``.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from benchmarks.machine import keep, machine, summary
from domain.settings import Settings
from release.server import free_port
from stack.airflow_api import UNFINISHED, AirflowApi
from stack.boot import boot_airflow
from stack.environment import process_environment
from stack.follow import QUIET_GROUP
from stack.supervisor import Supervisor
from warehouse.plan import published_days

TARGET: Final = 1.25
_BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Side:
    """One way to build the day.

    ``stages``: name → second it began, second it ended, after the side was asked. ``models``: how
    many tasks showed a dbt model, none in a script.
    """

    wall_s: float
    cpu_s: float
    stages: dict[str, tuple[float, float]]
    models: int = 0


def commands(day: str) -> dict[str, list[str]]:
    """What the tasks of ``build_features`` run, in their order."""
    vitrine = str(_BIN / "vitrine")
    return {
        "build": [vitrine, "build", "--day", day, "--run", "script"],
        "check_features": [vitrine, "check", "features", "--day", day],
        "materialize": [vitrine, "materialize", "--day", day],
    }


def take_away(settings: Settings, day: str) -> None:
    """Remove what was published of the day: it is built anew, and Feast sees new files."""
    for folder in settings.marts.glob(f"*/event_date={day}"):
        shutil.rmtree(folder)


def by_script(day: str, *, environment: dict[str, str]) -> Side:
    """The commands one after the other."""
    stages, asked, cpu = {}, time.perf_counter(), _cpu_of_ended_children()
    for name, command in commands(day).items():
        begun = time.perf_counter() - asked
        # A session each, as Airflow's tasks have: where others want the cores too, Linux shares
        # them out by session.
        ran = subprocess.run(
            command,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        if ran.returncode:
            raise SystemExit(
                f"{' '.join(command)} failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
            )
        stages[name] = (round(begun, 2), round(time.perf_counter() - asked, 2))
    wall = time.perf_counter() - asked
    return Side(round(wall, 2), round(_cpu_of_ended_children() - cpu, 2), stages)


def by_airflow(api: AirflowApi, day: str) -> Side:
    """A run of the Dag, from asking for it to its end as its database has it."""
    asked, cpu = datetime.now(UTC), _cpu_of_descendants()
    run = api.trigger("build_features", partition_key=day)
    while (state := api.run(run).state) in UNFINISHED:
        time.sleep(1.0)
    cpu = _cpu_of_descendants() - cpu
    if state != "success":
        raise SystemExit(f"{run.run_id} ended as {state}")
    tasks = api.task_states(run)
    stages = {
        task.task_id: (_seconds(task.started, since=asked), _seconds(task.ended, since=asked))
        for task in tasks
    }
    work = {name: span for name, span in stages.items() if not name.startswith(QUIET_GROUP)}
    wall = max(end for _, end in stages.values())
    return Side(wall, round(cpu, 2), work, models=len(stages) - len(work))


def _seconds(moment: str, *, since: datetime) -> float:
    at = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return round((at - since).total_seconds(), 2)


def _cpu_of_ended_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of_descendants() -> float:
    """Of all that live, and of those of their children that have ended."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def measure(home: Path, *, repeats: int) -> dict[str, object]:
    """Both sides in turns, on a copy of ``home``."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(home, Path(folder) / "home", ignore=shutil.ignore_patterns("airflow"))
        settings = Settings(home=Path(folder) / "home", airflow_port=free_port())
        day = str(max(published_days(settings)))
        environment = process_environment(settings, mark="benchmark")
        logs = settings.root / "logs"
        supervisor = Supervisor(environment=environment, logs=logs, record=logs / "up.json")
        supervisor.open()
        try:
            api = boot_airflow(settings, supervisor)
            sides = {
                "script": lambda: by_script(day, environment=environment),
                "airflow": lambda: by_airflow(api, day),
            }
            took = take_turns(sides, lambda: take_away(settings, day), rounds=repeats)
            api.close()
        finally:
            supervisor.close()
    return _result(settings, day, took)


def take_turns(
    sides: dict[str, Callable[[], Side]], prepare: Callable[[], None], *, rounds: int
) -> dict[str, list[Side]]:
    """One round that does not count, then ``rounds`` that do; the other side begins each time."""
    took: dict[str, list[Side]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(rounds + 1):
        for name in order:
            prepare()
            side = sides[name]()
            print(number, name, json.dumps(asdict(side)), flush=True)
            if number:
                took[name].append(side)
        order.reverse()
    return took


def _result(settings: Settings, day: str, took: dict[str, list[Side]]) -> dict[str, object]:
    walls = {name: summary([side.wall_s for side in sides]) for name, sides in took.items()}
    cpus = {name: summary([side.cpu_s for side in sides]) for name, sides in took.items()}
    pairs = zip(took["airflow"], took["script"], strict=True)
    return {
        "benchmark": "orchestration",
        "machine": machine("apache-airflow", "dbt-core", "feast"),
        "load_at_end": [round(one, 1) for one in os.getloadavg()],
        "source": settings.source.value,
        "day": day,
        "wall_s": walls,
        "cpu_s": cpus,
        "ratio": round(walls["airflow"]["median"] / walls["script"]["median"], 3),
        "ratio_of_each_round": [round(a.wall_s / s.wall_s, 3) for a, s in pairs],
        "cpu_ratio": round(cpus["airflow"]["median"] / cpus["script"]["median"], 3),
        "target": TARGET,
        **{name: [asdict(side) for side in sides] for name, sides in took.items()},
    }


def page(result: dict) -> list[str]:
    """The result for a reader."""
    lines = ["# What Airflow adds to a day", ""]
    lines += [f"`{result['source']}`, day {result['day']}, {result['machine']['cores']} cores;"]
    lines += [f"load averages at the end {result['load_at_end']}.", ""]
    lines += ["| seconds | script | Airflow |", "|---|---|---|"]
    for stage in result["script"][0]["stages"]:
        lines.append(
            f"| {stage} | {_took(result['script'], stage)} | {_took(result['airflow'], stage)} |"
        )
    for measure_, title in (("wall_s", "all"), ("cpu_s", "CPU")):
        row = [
            f"{one['median']:.1f} ({one['min']:.1f} to {one['max']:.1f})"
            for one in (result[measure_]["script"], result[measure_]["airflow"])
        ]
        lines.append(f"| {title}, median (least to most) | {' | '.join(row)} |")
    rounds = result["ratio_of_each_round"]
    lines += ["", f"Ratio of the medians: **{result['ratio']}** (target {result['target']});"]
    lines += [f"of each of the {len(rounds)} rounds {min(rounds)} to {max(rounds)}."]
    lines += [f"CPU seconds: {result['cpu_ratio']} times the script's.", ""]
    models = result["airflow"][0]["models"]
    waits = median(side["wall_s"] - _busy(side) for side in result["airflow"])
    lines += [f"A run is {len(result['airflow'][0]['stages'])} tasks that work and {models} that"]
    lines += [f"show a dbt model each; {waits:.1f} s pass before, between and after the former."]
    return lines


def _took(sides: list[dict], stage: str) -> str:
    return f"{median(end - begun for begun, end in (s['stages'][stage] for s in sides)):.1f}"


def _busy(side: dict) -> float:
    """The seconds of the tasks that work; they come one after the other."""
    return sum(end - begun for begun, end in side["stages"].values())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Settings().root)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    if not (asked.home / "marts").exists():
        print(f"orchestration: no finished shop in {asked.home}, run make run first; not measured")
        return
    result = measure(asked.home, repeats=asked.repeats)
    keep("orchestration", result, page(result))


if __name__ == "__main__":
    main()
