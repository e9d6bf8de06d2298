"""What does Airflow add to a day: ``build_features`` in Airflow against the same commands in a row.

    python benchmarks/orchestration.py [--home <a finished shop's state>] [--repeats 3]

Works on a copy; default: the home of the settings. Each time the newest day's published files are
taken away first, so that both sides build the day anew. The script runs what the tasks run:
``vitrine build --plan``, one ``dbt build``, ``vitrine build --publish-only``, ``check features``,
``materialize``, each a process of its own. Airflow is up and idle: its start is not counted.

Writes ``benchmarks/results/orchestration.json`` and ``.md``.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from domain.settings import Settings
from release.server import free_port
from stack.airflow_api import AirflowApi, Run
from stack.boot import boot_airflow
from stack.environment import process_environment
from stack.feed import Feed
from stack.follow import Follower
from stack.screen import Screen
from stack.supervisor import Supervisor
from warehouse.plan import published_days

RESULTS: Final = Path(__file__).parent / "results"
TARGET: Final = 1.25
_BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Side:
    """One way to build the day. ``stages``: seconds of each task or command; ``wall_s``: of all."""

    wall_s: float
    stages: dict[str, float]


def commands(day: str) -> dict[str, list[str]]:
    """What the tasks of ``build_features`` run, in their order."""
    vitrine, dbt = str(_BIN / "vitrine"), str(_BIN / "dbt")
    told = json.dumps({"event_date": day})
    return {
        "plan": [vitrine, "build", "--plan", "--day", day],
        "dbt": [dbt, "build", "--vars", told, "--exclude-resource-type", "unit_test"],
        "publish": [vitrine, "build", "--publish-only", "--day", day],
        "check_features": [vitrine, "check", "features", "--day", day],
        "materialize": [vitrine, "materialize", "--day", day],
    }


def take_away(settings: Settings, day: str) -> None:
    """Remove what was published of the day: it is built anew, and Feast sees new files."""
    for folder in settings.marts.glob(f"*/event_date={day}"):
        shutil.rmtree(folder)


def by_script(day: str, *, environment: dict[str, str]) -> Side:
    """The commands one after the other."""
    stages = {}
    for name, command in commands(day).items():
        begun = time.perf_counter()
        ran = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(
                f"{' '.join(command)} failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
            )
        stages[name] = round(time.perf_counter() - begun, 2)
    return Side(round(sum(stages.values()), 2), stages)


def by_airflow(api: AirflowApi, follower: Follower, day: str) -> Side:
    """A run of the Dag, from asking for it to its end as its database has it."""
    asked = datetime.now(UTC)
    run = follower.follow(api.trigger("build_features", partition_key=day))
    tasks = api.task_states(run)
    ended = max(datetime.fromisoformat(task.ended.replace("Z", "+00:00")) for task in tasks)
    return Side((ended - asked).total_seconds(), _stages(tasks, run))


def _stages(tasks: list, run: Run) -> dict[str, float]:
    seconds = {task.task_id: task.seconds or 0.0 for task in tasks}
    models = {name: s for name, s in seconds.items() if name.startswith("dbt.")}
    rest = {name: round(s, 2) for name, s in seconds.items() if name not in models}
    producer = next(s for name, s in models.items() if name.endswith("producer_watcher"))
    return {**rest, "dbt": round(producer, 2), "tasks of run": float(len(tasks))}


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
            feed, screen = Feed(settings.progress_log), Screen(Console(quiet=True))
            follower = Follower(api, feed, screen, supervisor.require_running)
            scripts, runs = [], []
            for _ in range(repeats):
                for sides, build in (
                    (scripts, lambda: by_script(day, environment=environment)),
                    (runs, lambda: by_airflow(api, follower, day)),
                ):
                    take_away(settings, day)
                    sides.append(build())
                    print(json.dumps(asdict(sides[-1])), flush=True)
            api.close()
        finally:
            supervisor.close()
    return _result(settings, day, scripts, runs)


def _result(
    settings: Settings, day: str, scripts: list[Side], runs: list[Side]
) -> dict[str, object]:
    ratio = median(side.wall_s for side in runs) / median(side.wall_s for side in scripts)
    return {
        "benchmark": "orchestration",
        "hardware": {"cores": os.cpu_count(), "machine": platform.machine()},
        "load_at_end": [round(one, 1) for one in os.getloadavg()],
        "versions": {name: version(name) for name in ("apache-airflow", "dbt-core", "feast")},
        "source": settings.source.value,
        "day": day,
        "script": [asdict(side) for side in scripts],
        "airflow": [asdict(side) for side in runs],
        "ratio": round(ratio, 3),
        "target": TARGET,
    }


def page(result: dict) -> str:
    """The result for a reader."""
    lines = ["# What Airflow adds to a day", ""]
    lines += [f"`{result['source']}`, day {result['day']}, {result['hardware']['cores']} cores;"]
    lines += [f"load averages at the end {result['load_at_end']}.", ""]
    lines += ["| seconds | script | Airflow |", "|---|---|---|"]
    for stage in result["script"][0]["stages"]:
        row = [
            f"{median(side['stages'][stage] for side in result[name]):.1f}"
            for name in ("script", "airflow")
        ]
        lines.append(f"| {stage} | {' | '.join(row)} |")
    walls = [
        ", ".join(f"{side['wall_s']:.1f}" for side in result[name])
        for name in ("script", "airflow")
    ]
    lines += [f"| all, each run | {' | '.join(walls)} |", ""]
    lines += [f"Ratio of the medians: **{result['ratio']}** (target {result['target']}).", ""]
    tasks = round(result["airflow"][0]["stages"]["tasks of run"])
    waits = median(side["wall_s"] - _busy(side) for side in result["airflow"])
    lines += [
        f"A run is {tasks} tasks, all but five there to show one dbt model each. Beside dbt they",
        f"take their start from the same cores; {waits:.0f} s more pass between tasks.",
    ]
    return "\n".join([*lines, ""])


def _busy(side: dict) -> float:
    """The seconds of the five tasks that work; they come one after the other."""
    return sum(seconds for name, seconds in side["stages"].items() if name != "tasks of run")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Settings().root)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    if not (asked.home / "marts").exists():
        print(f"orchestration: no finished shop in {asked.home}, run make run first; not measured")
        return
    result = measure(asked.home, repeats=asked.repeats)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "orchestration.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "orchestration.md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
