"""A real Airflow over miniature commands: each writes down how it was called.

The dbt project is a miniature, too; Airflow, dbt, our way to run it and everything in ``stack/``
are real.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console

from domain.settings import Settings
from release.server import free_port
from stack.airflow_api import AirflowApi, Run
from stack.environment import process_environment
from stack.feed import Feed
from stack.follow import Follower
from stack.screen import Screen
from stack.services import manifest_command
from stack.supervisor import Supervisor

BUILD = Path(__file__).with_name("miniature_build.py")
COMMAND = f"""#!/bin/sh
echo "$*" >> "$TOLD/calls"
if [ -f "$TOLD/broken" ] && [ "$*" = "$(cat "$TOLD/broken")" ]; then
  echo "vitrine: DataQualityError: the planted bad day" >&2
  exit 1
fi
case "$*" in build*--run*) exec {sys.executable} {BUILD} "$@";; esac
echo '{{"command": "miniature"}}'
"""
DBT_PROJECT = "name: vitrine\nversion: '1.0'\nprofile: vitrine\n"
PROFILES = """vitrine:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('VITRINE_DBT_WAREHOUSE') }}", threads: 1}
"""
FEATURES_YML = """models:
  - name: user_features
    columns:
      - name: event_date
        data_tests:
          - accepted_values: {arguments: {values: ["2026-03-01", "2026-03-02", "2026-03-03"]}}
"""


@dataclass
class Stack:
    """A running Airflow and what to ask it with."""

    api: AirflowApi
    supervisor: Supervisor
    follower: Follower
    told: Path
    docs_port: int

    def calls(self) -> list[str]:
        """How the commands were called since the last time somebody asked."""
        path = self.told / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    @property
    def home(self) -> Path:
        return self.told / "home"

    def newest(self, day: str) -> Run:
        """The last run of ``build_features`` for a day."""
        run = self.api.newest_run("build_features", partition_key=day)
        assert run is not None
        return run

    def states(self, run: Run) -> dict[str, str]:
        """Task → state."""
        return {task.task_id: task.state for task in self.api.task_states(run)}

    def log(self, run: Run, task_id: str) -> str:
        """What the last try of a task wrote."""
        (task,) = [task for task in self.api.task_states(run) if task.task_id == task_id]
        return "\n".join(self.api.log(run, task))

    def clear(self, run: Run, **what: object) -> None:
        """Clear tasks, as the run's page does."""
        body = {"dry_run": False, "dag_run_id": run.run_id, "reset_dag_runs": True, **what}
        self.api._call("POST", f"/dags/{run.dag_id}/clearTaskInstances", json=body)

    def process(self, service: str) -> psutil.Process:
        """The process of one of Airflow's parts."""
        return next(p for p in psutil.Process().children() if service in " ".join(p.cmdline()))

    def at_work(self, run: Run) -> psutil.Process | None:
        """The process that builds for a run, if there is one."""
        for process in psutil.Process().children(recursive=True):
            try:
                line = process.cmdline()
            except psutil.Error:
                continue
            if str(BUILD) in line and run.run_id in line:
                return process
        return None

    def finish(self, run: Run) -> Run:
        return self.follower.follow(run)

    def finish_features(self, day: str, *, other_than: Run | None = None) -> Run:
        run = self.follower.await_run("build_features", partition_key=day, other_than=other_than)
        return self.finish(run)


def _write_miniature(folder: Path) -> None:
    models = folder / "dbt" / "models"
    models.mkdir(parents=True)
    (folder / "dbt" / "dbt_project.yml").write_text(DBT_PROJECT)
    (folder / "dbt" / "profiles.yml").write_text(PROFILES)
    (models / "events.sql").write_text("select '{{ env_var('DAY', 'none') }}' as event_date")
    (models / "user_features.sql").write_text("select * from {{ ref('events') }}")
    (models / "schema.yml").write_text(FEATURES_YML)
    command = folder / "bin" / "vitrine"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)


@contextmanager
def miniature(folder: Path, **settings: object) -> Iterator[tuple[Settings, Supervisor]]:
    """The commands, the dbt project and the environment of an Airflow that is not started yet."""
    _write_miniature(folder)
    ours = Settings(
        home=folder / "home",
        dbt_project=folder / "dbt",
        airflow_port=free_port(),
        docs_port=free_port(),
        **settings,
    )
    environment = {**process_environment(ours, mark="test"), "TOLD": str(folder)}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    logs = ours.root / "logs"
    supervisor = Supervisor(environment=environment, logs=logs, record=logs / "up.json")
    supervisor.open()
    try:
        supervisor.run_together({"parse": manifest_command()})
        yield ours, supervisor
    finally:
        supervisor.close()
        assert psutil.Process().children(recursive=True) == []


def follower(settings: Settings, supervisor: Supervisor, api: AirflowApi) -> Follower:
    """Follows runs to their ends without a word."""
    feed, screen = Feed(settings.progress_log), Screen(Console(quiet=True))
    return Follower(api, feed, screen, supervisor.require_running)
