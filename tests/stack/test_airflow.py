"""The Dags in a real Airflow: scheduler, Dag processor, triggerer, API server, on SQLite."""

import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

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
from tests.stack.miniature import Stack, follower, miniature

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with miniature(folder) as (settings, supervisor):
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

    built = stack.newest("2026-03-01")
    *calls, train, evaluate, release = stack.calls()
    assert calls == [
        "ingest --history --until 2026-03-01",
        "check landed --all",
        "build --all",
        "check features --all",
        "materialize",
        "ingest --day 2026-03-01",
        "check landed --day 2026-03-01",
        f"build --day 2026-03-01 --run {built.run_id}",
        "check features --day 2026-03-01",
        "materialize --day 2026-03-01",
        "check examples",
    ]
    run = train.removeprefix("train --run ")
    assert (evaluate, release) == (f"evaluate --run {run}", f"release --run {run}")


def test_every_dbt_model_is_a_task_that_tells_of_itself_and_its_tests(stack: Stack) -> None:
    run = stack.newest("2026-03-01")

    states = stack.states(run)

    assert states["dbt.events"] == states["dbt.user_features"] == "success"
    log = stack.log(run, "dbt.user_features")
    assert "model.vitrine.user_features: success in" in log
    assert "test.vitrine.accepted_values_user_features_event_date" in log


def test_no_worker_process_shows_a_model(stack: Stack) -> None:
    run = stack.newest("2026-03-01")
    folder = stack.home / "airflow" / "logs" / "dag_id=build_features" / f"run_id={run.run_id}"

    written = {path.parent.name: path.name for path in folder.glob("task_id=*/*")}

    assert written["task_id=build"] == "attempt=1.log"
    assert ".trigger." in written["task_id=dbt.events"]
    assert len(list((folder / "task_id=dbt.events").iterdir())) == 1


def test_a_day_is_run_again_from_its_page_with_its_tests(stack: Stack) -> None:
    run = stack.newest("2026-03-01")
    stack.calls()

    stack.clear(run, only_failed=False)
    stack.finish(run)

    assert {task.try_number for task in stack.api.task_states(run)} == {2}
    assert "success in" in stack.log(run, "dbt.user_features")
    assert len(stack.calls()) == 3


def test_clearing_the_build_shows_every_model_anew_and_runs_what_follows(stack: Stack) -> None:
    run = stack.newest("2026-03-01")
    (stack.told / "hold").touch()
    stack.calls()

    stack.clear(run, task_ids=["build"], include_downstream=True, only_failed=False)
    try:
        assert wait_until(lambda: stack.states(run)["dbt.events"] == "success", timeout_s=60)
        # What the try before told of it is in the same file.
        assert stack.states(run)["dbt.user_features"] == "deferred"
    finally:
        (stack.told / "hold").unlink()
    stack.finish(run)

    assert [call.split()[0] for call in stack.calls()] == ["build", "check", "materialize"]


def test_a_model_that_is_cleared_alone_shows_what_its_build_told(stack: Stack) -> None:
    run = stack.newest("2026-03-01")
    stack.calls()

    stack.clear(run, task_ids=["dbt.user_features"], only_failed=False)
    stack.finish(run)

    assert stack.states(run)["dbt.user_features"] == "success"
    assert stack.calls() == []


def test_a_triggerer_that_is_killed_loses_no_model(stack: Stack) -> None:
    before = stack.supervisor.restarts
    (stack.told / "hold").touch()
    run = stack.api.trigger("build_features", partition_key="2026-03-01")
    try:
        assert wait_until(lambda: stack.states(run)["dbt.events"] == "success", timeout_s=60)
        os.kill(stack.process("triggerer").pid, signal.SIGKILL)
        assert wait_until(lambda: stack.supervisor.restarts == before + 1, timeout_s=30)
    finally:
        (stack.told / "hold").unlink()

    stack.finish(run)

    assert set(stack.states(run).values()) == {"success"}


def test_a_bad_day_stops_before_dbt_and_feast_and_says_why(stack: Stack) -> None:
    stack.calls()
    (stack.told / "broken").write_text("check landed --day 2026-03-02")

    with pytest.raises(TaskFailedError, match=r"check_landed for 2026-03-02(.|\n)*planted bad day"):
        stack.finish(stack.api.trigger("ingest_events", partition_key="2026-03-02"))

    assert stack.calls() == ["ingest --day 2026-03-02", "check landed --day 2026-03-02"]
    assert stack.api.newest_run("build_features", partition_key="2026-03-02") is None
    (stack.told / "broken").unlink()


def test_a_failed_dbt_test_turns_its_model_red_and_stops_before_feast(stack: Stack) -> None:
    stack.calls()
    run = stack.api.trigger("build_features", partition_key="1999-01-01")

    with pytest.raises(TaskFailedError, match=r"build for 1999-01-01(.|\n)*accepted_values"):
        stack.finish(run)

    states = stack.states(run)
    assert states["build"] == states["dbt.user_features"] == "failed"
    assert states["dbt.events"] == "success"
    assert states["check_features"] == states["materialize"] == "upstream_failed"
    log = stack.log(run, "dbt.user_features")
    assert "accepted_values_user_features" in log and "fail in" in log and "Got 1 result" in log
    assert {call.split()[0] for call in stack.calls()} == {"build"}


def test_a_build_that_dies_takes_its_models_with_it_and_says_so(stack: Stack) -> None:
    (stack.told / "hold").touch()
    run = stack.api.trigger("build_features", partition_key="2026-03-01")
    try:
        assert wait_until(lambda: stack.states(run)["dbt.events"] == "success", timeout_s=60)
        first = stack.at_work(run)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        assert wait_until(lambda: stack.at_work(run) not in (None, first), timeout_s=60)
        assert stack.states(run)["dbt.user_features"] == "deferred"  # the build is tried again
        second = stack.at_work(run)
        assert second is not None
        os.kill(second.pid, signal.SIGKILL)
        with pytest.raises(TaskFailedError):
            stack.finish(run)
    finally:
        (stack.told / "hold").unlink()

    assert stack.states(run)["dbt.user_features"] == "failed"
    assert "the build ended (failed) before this model" in stack.log(run, "dbt.user_features")


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
    built = stack.newest("2026-03-01")

    os.kill(stack.process("scheduler").pid, signal.SIGKILL)

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
