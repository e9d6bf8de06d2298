"""The Dags in a real Airflow: scheduler, Dag processor, triggerer, API server, on SQLite.

The commands are a miniature (each writes down how it was called, and fails where it is told to),
and so is the dbt project; Airflow, Cosmos, dbt and everything in ``stack/`` are the real ones.
"""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from domain.errors import VitrineError
from domain.settings import Settings
from release.server import free_port
from stack import boot
from stack.airflow_api import AirflowApi, Run
from stack.environment import process_environment
from stack.feed import Feed
from stack.follow import Follower, TaskFailedError
from stack.journey import Journey
from stack.screen import Screen
from stack.services import reading_services
from stack.span import Span
from stack.supervisor import Supervisor
from stack.waiting import wait_until

pytestmark = pytest.mark.slow

COMMAND = """#!/bin/sh
echo "$*" >> "$TOLD/calls"
if [ -f "$TOLD/broken" ] && [ "$*" = "$(cat "$TOLD/broken")" ]; then
  echo "vitrine: DataQualityError: the planted bad day" >&2
  exit 1
fi
echo '{"command": "miniature"}'
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
    (models / "events.sql").write_text("select '{{ var('event_date', 'none') }}' as event_date")
    (models / "user_features.sql").write_text("select * from {{ ref('events') }}")
    (models / "schema.yml").write_text(FEATURES_YML)
    command = folder / "bin" / "vitrine"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    _write_miniature(folder)
    settings = Settings(home=folder / "home", airflow_port=free_port(), docs_port=free_port())
    manifest = folder / "dbt" / "target" / "manifest.json"
    environment = {
        **process_environment(settings, mark="test"),
        "TOLD": str(folder),
        "DBT_PROJECT_DIR": str(folder / "dbt"),
        "DBT_PROFILES_DIR": str(folder / "dbt"),
        "DBT_TARGET_PATH": str(manifest.parent),
        "AIRFLOW__VITRINE__DBT": str(folder / "dbt"),
        "AIRFLOW__VITRINE__MANIFEST": str(manifest),
    }
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    logs = settings.root / "logs"
    supervisor = Supervisor(environment=environment, logs=logs, record=logs / "up.json")
    supervisor.open()
    try:
        dbt = str(Path(sys.executable).parent / "dbt")
        supervisor.run_together({"parse": (dbt, "parse")})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boot, "manifest_command", lambda: (dbt, "--version"))
            api = boot.boot_airflow(settings, supervisor)
        follower = Follower(
            api,
            Feed(settings.progress_log),
            Screen(Console(quiet=True)),
            supervisor.require_running,
        )
        yield Stack(api, supervisor, follower, folder, settings.docs_port)
    finally:
        api.close()
        supervisor.close()
        assert psutil.Process().children(recursive=True) == []


def test_a_new_shop_goes_from_history_to_release(stack: Stack, tmp_path: Path) -> None:
    span = Span(last=date(2026, 3, 1), before_last=date(2026, 2, 28))
    journey = Journey(Settings(home=tmp_path), span, stack.api, stack.follower)

    journey.load_history()
    journey.add_last_day()
    journey.release()

    *calls, train, evaluate, release = stack.calls()
    assert calls == [
        "ingest --history --until 2026-03-01",
        "check landed --all",
        "build --all",
        "check features --all",
        "materialize",
        "ingest --day 2026-03-01",
        "check landed --day 2026-03-01",
        "build --plan --day 2026-03-01",
        "build --publish-only --day 2026-03-01",
        "check features --day 2026-03-01",
        "materialize --day 2026-03-01",
        "check examples",
    ]
    run = train.removeprefix("train --run ")
    assert (evaluate, release) == (f"evaluate --run {run}", f"release --run {run}")


def test_every_dbt_model_is_a_task_and_ran_with_the_runs_day(stack: Stack) -> None:
    run = stack.api.newest_run("build_features", partition_key="2026-03-01")
    assert run is not None

    states = {task.task_id: task.state for task in stack.api.task_states(run)}

    assert states["dbt.events_run"] == states["dbt.user_features_run"] == "success"
    log = "\n".join(
        line
        for task in stack.api.task_states(run)
        if task.task_id == "dbt.dbt_producer_watcher"
        for line in stack.api.log(run, task)
    )
    assert "PASS=3" in log  # two models and the test that names the day


def test_a_day_is_run_again_from_its_page_with_its_tests(stack: Stack) -> None:
    run = stack.api.newest_run("build_features", partition_key="2026-03-01")
    assert run is not None
    path = "/dags/build_features/clearTaskInstances"
    stack.calls()

    stack.api._call(
        "POST",
        path,
        json={
            "dry_run": False,
            "dag_run_id": run.run_id,
            "only_failed": False,
            "reset_dag_runs": True,
        },
    )
    stack.finish(run)

    producer = next(
        task for task in stack.api.task_states(run) if task.task_id == "dbt.dbt_producer_watcher"
    )
    assert (producer.state, producer.try_number) == ("success", 2)
    assert "PASS=3" in "\n".join(stack.api.log(run, producer))
    assert len(stack.calls()) == 4


def test_a_bad_day_stops_before_dbt_and_feast_and_says_why(stack: Stack) -> None:
    stack.calls()
    (stack.told / "broken").write_text("check landed --day 2026-03-02")

    with pytest.raises(TaskFailedError, match=r"check_landed for 2026-03-02(.|\n)*planted bad day"):
        stack.finish(stack.api.trigger("ingest_events", partition_key="2026-03-02"))

    assert stack.calls() == ["ingest --day 2026-03-02", "check landed --day 2026-03-02"]
    assert stack.api.newest_run("build_features", partition_key="2026-03-02") is None
    (stack.told / "broken").unlink()


def test_a_failed_dbt_test_stops_before_feast(stack: Stack) -> None:
    stack.calls()

    with pytest.raises(TaskFailedError, match="dbt"):
        stack.finish(stack.api.trigger("build_features", partition_key="1999-01-01"))

    assert stack.calls() == ["build --plan --day 1999-01-01"]


def test_a_backfill_takes_the_last_day_too(stack: Stack) -> None:
    body = {
        "dag_id": "ingest_events",
        "from_date": "2026-03-02T00:00:00Z",
        "to_date": "2026-03-03T00:00:00Z",
        "reprocess_behavior": "completed",
        "max_active_runs": 1,
    }
    stack.calls()

    stack.api._call("POST", "/backfills", json=body)
    for day in ("2026-03-02", "2026-03-03"):
        stack.finish_features(day)

    days = [call.split()[-1] for call in stack.calls() if call.startswith("ingest")]
    assert days == ["2026-03-02", "2026-03-03"]


def test_a_killed_scheduler_comes_back_and_the_next_day_runs(stack: Stack) -> None:
    before = stack.supervisor.restarts
    built = stack.api.newest_run("build_features", partition_key="2026-03-01")
    scheduler = next(p for p in psutil.Process().children() if "scheduler" in " ".join(p.cmdline()))

    os.kill(scheduler.pid, signal.SIGKILL)

    assert wait_until(lambda: stack.supervisor.restarts == before + 1, timeout_s=30)
    stack.finish(stack.api.trigger("ingest_events", partition_key="2026-03-01"))
    stack.finish_features("2026-03-01", other_than=built)


def test_whoever_wants_a_release_asks_for_the_asset(stack: Stack) -> None:
    stack.calls()
    found = stack.api._call("GET", "/assets", params={"name_pattern": "release"})["assets"]
    (release,) = [asset for asset in found if asset["name"] == "release"]

    made = stack.api._call("POST", f"/assets/{release['id']}/materialize", json={})

    assert made["dag_id"] == "train_models"
    known = stack.api.newest_run("train_models")
    assert known is not None
    stack.finish(known)
    assert stack.calls()[0] == "check examples"


def test_what_people_read_is_served(stack: Stack, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mlflow_port=free_port(), docs_port=stack.docs_port)

    for service in reading_services(settings):
        boot.start_and_await(stack.supervisor, service)  # raises unless its address answers


def test_a_form_that_makes_no_sense_is_refused(stack: Stack) -> None:
    with pytest.raises(VitrineError, match="400"):
        stack.api.trigger("train_models", conf={"cutoff": "yesterday"})
    with pytest.raises(VitrineError, match="400"):
        stack.api.trigger("train_models", conf={"preset": "rm -rf /"})
