"""How the task of a dbt model ends, for each thing that may become of its build."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import uuid6

from domain.node_results import NodeResult, Told

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MODEL, TEST = "model.vitrine.events", "test.vitrine.grain"
ASKED = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = ASKED - timedelta(seconds=1), ASKED + timedelta(seconds=1)


def told(begun: datetime = AFTER, **statuses: str) -> Told:
    names = {"model": MODEL, "test": TEST}
    results: Mapping[str, NodeResult] = {
        names[kind]: NodeResult(names[kind], status, 0.5, f"{kind} said so")
        for kind, status in statuses.items()
    }
    return Told(begun, results)


@pytest.mark.parametrize(
    ("what", "build", "state"),
    [
        (told(model="success", test="pass"), "running", "success"),
        (told(model="success", test="warn"), "running", "success"),
        (told(model="success"), "running", None),  # its test is not there yet
        (Told(), "running", None),
        (Told(), None, None),
        # A try before: of the build, or of this task (it was cleared together with the build).
        (told(BEFORE, model="success", test="pass"), "queued", None),
        (told(BEFORE, model="success", test="pass"), "running", None),
        (told(BEFORE, model="success", test="pass"), "success", "success"),
        # What failed may be tried again.
        (told(model="success", test="fail"), "running", None),
        (told(model="success", test="fail"), "up_for_retry", None),
        (told(model="success", test="fail"), "failed", "failed"),
        (told(model="error", test="skipped"), "failed", "failed"),
        (told(model="skipped", test="skipped"), "running", None),
        (told(model="skipped", test="skipped"), "failed", "skipped"),
        # The build died, or a person ended it.
        (told(), "up_for_retry", None),
        (told(), "failed", "failed"),
        (told(model="success"), "failed", "failed"),
        (Told(), "upstream_failed", "failed"),
        (Told(), "success", "skipped"),
    ],
)
def test_a_model_ends_as_its_build_says(what: Told, build: str | None, state: str | None) -> None:
    from dags.shown.verdict import judge

    verdict = judge([MODEL, TEST], what, build=build, since=ASKED)

    assert (verdict.state if verdict else None) == state


def test_a_red_model_names_the_test_that_failed() -> None:
    from dags.shown.verdict import judge

    what = told(model="success", test="fail")
    verdict = judge([MODEL, TEST], what, build="failed", since=ASKED)

    assert verdict is not None
    assert "test.vitrine.grain: fail in 0.5 s test said so" in verdict.why


def test_a_task_instance_tells_when_its_try_was_made() -> None:
    from dags.shown.verdict import made_at

    begin = datetime.now(UTC) - timedelta(milliseconds=1)
    made = made_at(uuid6.uuid7())

    assert begin <= made <= datetime.now(UTC)


def test_a_trigger_is_made_again_from_what_it_says_of_itself() -> None:
    from airflow.triggers.base import BaseTrigger

    from dags.shown.trigger import ModelTrigger

    name, arguments = ModelTrigger(built_by="build", nodes=[MODEL, TEST]).serialize()
    again = ModelTrigger(**arguments)

    assert isinstance(again, BaseTrigger)
    assert name == f"{ModelTrigger.__module__}.{ModelTrigger.__qualname__}"
    assert (again.built_by, again.nodes) == ("build", [MODEL, TEST])
