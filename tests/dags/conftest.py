"""The Dags as Airflow's own loader reads them, without a database."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parents[2] / "dags"


def _model(name: str, *needs: str) -> dict[str, Any]:
    return {
        "unique_id": f"model.vitrine.{name}",
        "resource_type": "model",
        "name": name,
        "original_file_path": f"models/{name}.sql",
        "depends_on": {"nodes": [f"model.vitrine.{need}" for need in needs]},
        "config": {"materialized": "table"},
        "description": f"What {name} holds.",
        "raw_code": f"select 1 as {name}",
    }


def _test(name: str, model: str | None, *reads: str) -> dict[str, Any]:
    return {
        "unique_id": f"test.vitrine.{name}",
        "resource_type": "test",
        "name": name,
        "attached_node": f"model.vitrine.{model}" if model else None,
        "depends_on": {"nodes": [f"model.vitrine.{read}" for read in reads]},
        "config": {"materialized": "test"},
    }


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Loads the Dags of a shop with this clock, over a small manifest."""
    home = tmp_path_factory.mktemp("airflow")
    manifest = home / "manifest.json"
    nodes = [
        _model("events"),
        _model("user_features", "events"),
        _test("grain", "user_features", "user_features"),
        _test("users_are_known", "user_features", "user_features", "events"),
        _test("alone", None, "events", "user_features"),
        _model("inlined") | {"config": {"materialized": "ephemeral"}},
    ]
    manifest.write_text(
        json.dumps({"nodes": {n["unique_id"]: n for n in nodes}, "sources": {}, "exposures": {}})
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_HOME", str(home))
        environment.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        environment.setenv("AIRFLOW__VITRINE__MANIFEST", str(manifest))

        def load_with(clock: str) -> dict[str, Any]:
            environment.setenv("AIRFLOW__VITRINE__CLOCK", clock)
            from airflow.dag_processing.dagbag import DagBag

            bag = DagBag(DAGS, collect_dags=True)
            if bag.import_errors:
                raise AssertionError(bag.import_errors)
            return dict(bag.dags)

        yield load_with


@pytest.fixture(scope="session")
def dags(load: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The Dags of a replayed shop."""
    return load("replay")
