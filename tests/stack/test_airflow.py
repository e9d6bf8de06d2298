"""The Dags in a real Airflow: scheduler, Dag processor, triggerer, API server, on SQLite."""

import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psutil
import pytest

from domain.errors import VitrineError
from domain.settings import Settings
from release.server import free_port
from stack import boot
from stack.follow import TaskFailedError
from stack.journey import Journey
from stack.services import reading_services
from stack.span import Span
from stack.waiting import wait_until
from tests.stack.miniature import DBT, Stack, follower, miniature

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with miniature(folder) as (settings, supervisor):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boot, "manifest_command", lambda: (DBT, "--version"))
            api = boot.boot_airflow(settings, supervisor)
        followed = follower(settings, supervisor, api)
        yield Stack(api, supervisor, followed, folder, settings.docs_port)
        api.close()


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
