"""Tracked experiments: each judged run in MLflow, in one SQLite file, without any server.

``mlflow ui --backend-store-uri sqlite:///…/mlflow.db`` (or ``vitrine up``) shows them.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from models.runs import RunInfo

logger = logging.getLogger(__name__)

EXPERIMENT: Final = "vitrine"
RUN_TAG: Final = "vitrine.run"


def tracking_uri(store: Path) -> str:
    """The address of the experiments kept in ``store`` (``settings.mlflow``)."""
    return f"sqlite:///{store / 'mlflow.db'}"


def track(
    run: RunInfo, *, store: Path, metrics: Mapping[str, float], artifacts: Sequence[Path]
) -> str:
    """Write a run's configuration, curves, metrics and report; judging it again replaces nothing.

    Args:
        run: A finished run.
        store: ``settings.mlflow``.
        metrics: Name → value; names with letters, digits, ``_ - . /`` only.
        artifacts: Files to keep beside them.

    Returns:
        MLflow's id of the run: the same for the same run name.
    """
    # Read when mlflow is imported: neither the network nor anybody's statistics are its business.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    logging.getLogger("alembic").setLevel(logging.WARNING)
    store.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=tracking_uri(store))
    run_id = _find_or_create(client, run, artifacts=store / "artifacts")
    # Unlike metrics, parameters cannot be written twice with other values: they never differ.
    params = [Param(name, value[:6000]) for name, value in _flatten("", run.content["config"])]
    now = client.get_run(run_id).info.start_time
    points = [Metric(name, value, now, 0) for name, value in metrics.items()]
    points += [Metric(name, value, now, step) for name, value, step in _curve_points(run.folder)]
    client.log_batch(run_id, metrics=points, params=params)
    for path in artifacts:
        client.log_artifact(run_id, str(path))
    client.set_terminated(run_id)
    logger.info("tracked %s as %s in %s", run.name, run_id, tracking_uri(store))
    return run_id


def _find_or_create(client: "MlflowClient", run: RunInfo, *, artifacts: Path) -> str:  # type: ignore[name-defined]  # noqa: F821
    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = (
        client.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri())
        if experiment is None
        else experiment.experiment_id
    )
    found = client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{run.name}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    tags = {RUN_TAG: run.name} | {
        f"vitrine.{name}": str(run.content[name])
        for name in ("git_commit", "data_hash", "device", "preset", "until")
    }
    created = client.create_run(experiment_id, run_name=run.name, tags=tags)
    return str(created.info.run_id)


def _flatten(prefix: str, content: object) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else str(name), value)
    else:
        yield prefix, str(content)


def _curve_points(folder: Path) -> Iterator[tuple[str, float, int]]:
    curves = json.loads((folder / "curves.json").read_text(encoding="utf-8"))
    for stage, notes in curves.items():
        for name in ("train_loss", "validation"):
            for step, value in enumerate(notes.get(name, ())):
                yield f"{stage}/{name}", float(value), step
