"""What every Dag promises: the graph we agreed on, assets somebody makes, commands that exist."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from domain import assets

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ROOT = Path(__file__).parents[2]
PARTS = set((ROOT / "dags" / ".airflowignore").read_text().splitlines()[1:])
FILES = sorted(p for p in (ROOT / "dags").glob("*.py") if p.name not in PARTS)

GRAPH = {
    "load_history": {
        "ingest": {"check_landed"},
        "check_landed": {"build"},
        "build": {"check_features"},
        "check_features": {"materialize"},
        "materialize": set(),
    },
    "ingest_events": {"ingest": {"check_landed"}, "check_landed": set()},
    "build_features": {
        "build": {"dbt.events", "check_features"},
        "dbt.events": {"dbt.user_features"},
        "dbt.user_features": set(),
        "check_features": {"materialize"},
        "materialize": set(),
    },
    "train_models": {
        "check_examples": {"train"},
        "train": {"evaluate"},
        "evaluate": {"release"},
        "release": set(),
    },
}

DAY = "2026-03-01"
FORMS = {
    "load_history": [{"until": None}, {"until": DAY}],
    "ingest_events": [{}],
    "build_features": [{}],
    "train_models": [
        {"cutoff": None, "preset": None, "reason": ""},
        {"cutoff": DAY, "preset": "debug", "reason": "a test"},
    ],
}


def _commands(dag: Any) -> dict[str, tuple[Any, str]]:
    """Task → (operator, template of its command), of the tasks that are commands of ours."""
    return {
        task.task_id: (task, task.python_callable())
        for task in dag.tasks
        if task.task_type == "_BashDecoratedOperator"
    }


def _render(template: str, form: dict[str, Any]) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["ts_nodash"] = lambda moment: "20260302T101112"
    run = SimpleNamespace(partition_key=DAY, run_after="2026-03-02T10:11:12+00:00", run_id="r-1")
    return environment.from_string(template).render(dag_run=run, params=form)


def _names(condition: Any) -> set[str]:
    return {asset.name for asset in getattr(condition, "objects", [condition]) if asset}


def test_graph_is_the_one_we_agreed_on(dags: dict[str, Any]) -> None:
    graph = {d: {t.task_id: t.downstream_task_ids for t in dag.tasks} for d, dag in dags.items()}

    assert graph == GRAPH


def test_every_awaited_asset_is_produced(dags: dict[str, Any]) -> None:
    produced = {a.name for dag in dags.values() for task in dag.tasks for a in task.outlets}
    awaited = [
        _names(getattr(dag.timetable, "asset_condition", None)) | {a.name for a in task.inlets}
        for dag in dags.values()
        for task in dag.tasks
    ]

    assert set().union(*awaited) == {
        assets.EVENTS,
        *assets.FEATURE_TABLES,
        assets.RETRIEVAL_EXAMPLES,
        assets.RANKING_EXAMPLES,
    }
    assert set().union(*awaited) <= produced
    assert assets.RELEASE in produced


def test_one_dag_makes_releases_so_that_anybody_can_ask_for_one(dags: dict[str, Any]) -> None:
    makers = {
        dag_id
        for dag_id, dag in dags.items()
        for task in dag.tasks
        if assets.RELEASE in {asset.name for asset in task.outlets}
    }

    assert makers == {"train_models"}


def test_every_dag_and_task_explains_itself(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert len(dag.doc_md.splitlines()) >= 4, dag.dag_id
        assert "vitrine" in dag.tags
        assert dag.max_active_runs == 1
        for task_id, (task, _) in _commands(dag).items():
            assert task.python_callable.__doc__, f"{dag.dag_id}.{task_id}"
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["title"] and param.description, f"{dag.dag_id}.{name}"


def test_every_task_is_one_command_that_the_cli_takes(dags: dict[str, Any]) -> None:
    from cli.main import LazyGroup

    parsed = 0
    for dag_id, dag in dags.items():
        for form in FORMS[dag_id]:
            for task_id, (_, template) in _commands(dag).items():
                line = _render(template, form)
                assert "{" not in line and "\n" not in line
                program, name, *arguments = shlex.split(line)
                assert program == "vitrine", f"{dag_id}.{task_id}: {line}"
                command = LazyGroup().get_command(None, name)
                assert command is not None, name
                command.make_context(name, arguments)  # raises on an option that does not exist
                parsed += 1
    assert parsed == 2 * 5 + 2 + 3 + 2 * 4


def test_a_wrong_option_would_be_noticed() -> None:
    from cli.main import LazyGroup

    command = LazyGroup().get_command(None, "ingest")

    with pytest.raises(Exception, match="No such option"):
        command.make_context("ingest", ["--yesterday"])


def test_forms_reach_the_commands(dags: dict[str, Any]) -> None:
    history, training = _commands(dags["load_history"]), _commands(dags["train_models"])
    empty, full = FORMS["train_models"]

    assert _render(history["ingest"][1], {"until": None}) == "vitrine ingest --history"
    assert _render(history["ingest"][1], {"until": DAY}).endswith(f"--history --until {DAY}")
    assert _render(training["train"][1], empty) == "vitrine train --run 20260302T101112"
    assert _render(training["train"][1], full).endswith(f" --until {DAY} --preset debug")
    assert _render(training["release"][1], full) == "vitrine release --run 20260302T101112"


def test_checks_and_the_gate_are_never_retried(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task_id, (task, _) in _commands(dag).items():
            if task_id.startswith("check") or task_id == "release":
                assert task.retries == 0, f"{dag.dag_id}.{task_id}"
            else:
                assert task.retries >= 1, f"{dag.dag_id}.{task_id}"


def test_only_one_task_at_a_time_holds_the_warehouse(dags: dict[str, Any]) -> None:
    holders = {
        f"{dag_id}.{task.task_id}"
        for dag_id, dag in dags.items()
        for task in dag.tasks
        if task.pool == "warehouse"
    }

    assert holders == {
        "load_history.build",
        "build_features.build",
    }


def test_the_build_tells_of_its_own_run(dags: dict[str, Any]) -> None:
    _, template = _commands(dags["build_features"])["build"]

    assert _render(template, {}) == f"vitrine build --day {DAY} --run r-1"


def test_a_model_answers_for_its_tests_and_explains_itself(dags: dict[str, Any]) -> None:
    features = dags["build_features"].get_task("dbt.user_features")
    events = dags["build_features"].get_task("dbt.events")

    assert features.nodes == [
        "model.vitrine.user_features",
        "test.vitrine.alone",
        "test.vitrine.grain",
        "test.vitrine.users_are_known",
    ]
    assert events.nodes == ["model.vitrine.events", "test.vitrine.alone"]
    assert "What user_features holds." in features.doc_md
    assert "select 1 as user_features" in features.doc_md


def test_models_need_no_worker_and_are_not_tried_again_alone(dags: dict[str, Any]) -> None:
    """As Airflow's scheduler sees them: after the way through its database."""
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DagSerialization.from_dict(DagSerialization.to_dict(dags["build_features"]))
    models = [task for task in dag.tasks if task.task_id.startswith("dbt.")]

    assert len(models) == 2
    for task in models:
        assert task.start_from_trigger
        assert task.start_trigger_args.trigger_cls == "dags.shown.trigger.ModelTrigger"
        assert task.trigger_rule == "always"
        assert task.retries == 0


def test_a_replayed_shop_is_never_scheduled_by_the_wall_clock(
    load: Callable[[str], dict[str, Any]],
) -> None:
    replay, live = load("replay"), load("live")

    assert replay["ingest_events"].end_date is not None
    assert replay["ingest_events"].end_date.year == 2000
    assert replay["train_models"].timetable.__class__.__name__ == "NullTimetable"
    assert live["ingest_events"].end_date is None
    assert "0 2 * * *" in str(live["ingest_events"].timetable.expression)
    assert "0 4 * * 1" in str(live["train_models"].timetable.expression)
    for dags in (replay, live):
        assert dags["ingest_events"].timetable.key_format == "%Y-%m-%d"
        assert dags["ingest_events"].timetable.run_offset == -1


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_short_and_named_as_its_dag(file: Path, dags: dict[str, Any]) -> None:
    assert len(file.read_text().splitlines()) <= 80
    assert file.stem in dags


def test_parsing_a_dag_loads_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "feast", "great_expectations", "duckdb", "dbt.cli", "polars")
    code = (
        "import sys, dags.load_history, dags.ingest_events, dags.train_models;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert told.stdout.strip().splitlines()[-1] == "[]", told.stderr
