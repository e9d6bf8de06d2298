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
        "alias": name,
        "package_name": "vitrine",
        "original_file_path": f"models/{name}.sql",
        "depends_on": {"nodes": [f"model.vitrine.{need}" for need in needs]},
        "config": {"materialized": "table"},
        "tags": [],
        "fqn": ["vitrine", name],
    }


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Loads the Dags of a shop with this clock, over a manifest of two models."""
    home = tmp_path_factory.mktemp("airflow")
    manifest = home / "manifest.json"
    nodes = [_model("events"), _model("user_features", "events")]
    manifest.write_text(
        json.dumps({"nodes": {n["unique_id"]: n for n in nodes}, "sources": {}, "exposures": {}})
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_HOME", str(home))
        environment.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        environment.setenv("AIRFLOW__COSMOS__CACHE_DIR", str(home / "cosmos"))
        environment.setenv("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")
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
