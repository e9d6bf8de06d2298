"""Nothing is done twice, and what was cut short goes on where it stopped.

Airflow is a miniature here: runs that succeed or fail as told, the producer of a day's events
making the run that waits for them. The real one is in test_up.py.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from domain.settings import Settings
from domain.stamp import StoreStamp, write_stamp
from release.ledger import Action, Entry, append
from stack.airflow_api import UNFINISHED, Run
from stack.follow import TaskFailedError
from stack.journey import Journey
from stack.span import Span

LAST, BEFORE = date(2026, 3, 1), date(2026, 2, 27)
START = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Airflow:
    """Runs by id; ``failing``: the Dags whose next run fails; ``log``: what was asked of it."""

    runs: list[Run] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def add(self, dag_id: str, state: str, *, key: str | None = None, until: str = "") -> Run:
        run = Run(
            dag_id=dag_id,
            run_id=f"r{len(self.runs)}",
            state=state,
            partition_key=key,
            conf={"until": until} if until else {},
            run_after=START + timedelta(minutes=len(self.runs)),
        )
        self.runs.append(run)
        return run

    def newest_run(self, dag_id: str, *, partition_key: str | None = None) -> Run | None:
        fitting = [r for r in self.runs if r.dag_id == dag_id]
        return next((r for r in fitting[::-1] if partition_key in (None, r.partition_key)), None)

    def trigger(self, dag_id: str, *, partition_key=None, conf=None, note="") -> Run:
        self.log.append(
            f"trigger {dag_id} {partition_key or (conf or {}).get('until', '')}".strip()
        )
        return self.add(dag_id, "queued", key=partition_key, until=(conf or {}).get("until", ""))

    def resume(self, run: Run) -> Run:
        self.log.append(f"resume {run.dag_id}")
        return self._set(run, "queued")

    def follow(self, run: Run) -> Run:
        if run.dag_id in self.failing:
            self.failing.discard(run.dag_id)
            self._set(run, "failed")
            raise TaskFailedError(run.dag_id)
        self.log.append(f"done {run.dag_id}")
        if run.dag_id == "ingest_events":
            self.add("build_features", "queued", key=run.partition_key)
        return self._set(run, "success")

    def await_run(self, dag_id: str, *, partition_key: str, other_than: Run | None) -> Run:
        run = self.newest_run(dag_id, partition_key=partition_key)
        assert run is not None
        assert other_than is None or run.run_id != other_than.run_id
        return run

    def _set(self, run: Run, state: str) -> Run:
        changed = replace(run, state=state)
        self.runs = [changed if r.run_id == run.run_id else r for r in self.runs]
        return changed


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def journey(airflow: Airflow, tmp_path: Path) -> Journey:
    settings = Settings(home=tmp_path)
    return Journey(settings, Span(LAST, BEFORE), api=airflow, follower=airflow)


def _bring_online(journey: Journey, day: date) -> None:
    stamp = StoreStamp(features={}, event_date=day, version=1)
    write_stamp(journey.settings.feast / "stamp.json", stamp)


def test_a_new_shop_loads_everything_but_its_last_day(journey: Journey, airflow: Airflow) -> None:
    assert journey.load_history()

    assert airflow.log == ["trigger load_history 2026-03-01", "done load_history"]


def test_what_is_online_is_not_loaded_again(journey: Journey, airflow: Airflow) -> None:
    _bring_online(journey, BEFORE)

    assert not journey.load_history()
    assert airflow.log == []


def test_a_shop_of_one_day_has_no_history(airflow: Airflow, tmp_path: Path) -> None:
    journey = Journey(Settings(home=tmp_path), Span(LAST, None), api=airflow, follower=airflow)

    assert not journey.load_history()


def test_the_last_day_comes_the_daily_way(journey: Journey, airflow: Airflow) -> None:
    _bring_online(journey, BEFORE)

    assert journey.add_last_day()

    assert airflow.log == [
        "trigger ingest_events 2026-03-01",
        "done ingest_events",
        "done build_features",
    ]


def test_a_failed_run_is_resumed_not_repeated(journey: Journey, airflow: Airflow) -> None:
    airflow.add("load_history", "failed", until=LAST.isoformat())

    journey.load_history()

    assert airflow.log == ["resume load_history", "done load_history"]


def test_a_history_that_ended_elsewhere_is_another_run(journey: Journey, airflow: Airflow) -> None:
    airflow.add("load_history", "failed", until="2025-01-01")

    journey.load_history()

    assert airflow.log[0] == "trigger load_history 2026-03-01"


def test_a_run_that_was_cut_short_may_fail_once_without_being_at_fault(
    journey: Journey, airflow: Airflow
) -> None:
    airflow.add("load_history", "running", until=LAST.isoformat())
    airflow.failing = {"load_history"}

    journey.load_history()

    assert airflow.log == ["resume load_history", "done load_history"]


def test_a_new_run_that_fails_is_not_tried_again(journey: Journey, airflow: Airflow) -> None:
    airflow.failing = {"load_history"}

    with pytest.raises(TaskFailedError):
        journey.load_history()

    assert airflow.log == ["trigger load_history 2026-03-01"]
    assert not {r.state for r in airflow.runs} & UNFINISHED


def test_a_landed_day_whose_features_failed_goes_on_with_its_features(
    journey: Journey, airflow: Airflow
) -> None:
    _bring_online(journey, BEFORE)
    airflow.add("ingest_events", "success", key=LAST.isoformat())
    airflow.add("build_features", "failed", key=LAST.isoformat())

    journey.add_last_day()

    assert airflow.log == ["resume build_features", "done build_features"]


def test_a_live_release_is_not_trained_again(journey: Journey, airflow: Airflow) -> None:
    entry = Entry(Action.RELEASED, release_id="one", run="r", why="better", at="")
    append(journey.settings.releases, entry, now=START)

    assert not journey.release()
    assert airflow.log == []


def test_training_starts_anew_when_features_are_newer_than_the_failed_one(
    journey: Journey, airflow: Airflow
) -> None:
    airflow.add("train_models", "failed")
    airflow.add("build_features", "success", key=LAST.isoformat())

    journey.release()

    assert airflow.log == ["trigger train_models", "done train_models"]


def test_a_failed_training_of_the_same_features_is_resumed(
    journey: Journey, airflow: Airflow
) -> None:
    airflow.add("build_features", "success", key=LAST.isoformat())
    airflow.add("train_models", "failed")

    journey.release()

    assert airflow.log == ["resume train_models", "done train_models"]
