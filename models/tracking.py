"""Tracked experiments: judged runs and searches in MLflow, in one SQLite file, without any server.

``mlflow ui --backend-store-uri sqlite:///…/mlflow.db`` (or ``vitrine up``) shows them.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from domain.files import exclusive, folder_aside, put, sweep
from models.runs import RunInfo
from models.tried import State, Tried

logger = logging.getLogger(__name__)

EXPERIMENT: Final = "vitrine"
RUN_TAG: Final = "vitrine.run"
TUNED_METRIC: Final = "validation_ndcg_at_10"
_ENDED: Final[Mapping[State, str]] = {
    "finished": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}


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
    client, experiment_id = _opened(store)
    from mlflow.entities import Metric, Param

    tags = {
        f"vitrine.{name}": str(run.content[name])
        for name in ("git_commit", "data_hash", "device", "preset", "until")
    }
    run_id = _find_or_create(client, experiment_id, run.name, tags=tags)
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


class TrackedSearch:
    """A search for settings as a run, and each of its trials as a run below it.

    Called with a trial that ended, it writes that trial's run; again, it changes nothing.

    Args:
        name: The search's: the same name is the same run.
        store: ``settings.mlflow``.
        about: What the search is of.
    """

    def __init__(self, name: str, *, store: Path, about: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        self._name = name
        self._client, self._experiment_id = _opened(store)
        self.run_id = _find_or_create(self._client, self._experiment_id, name, tags={})
        params = [Param(key, str(value)) for key, value in about.items()]
        self._client.log_batch(self.run_id, params=params)

    def __call__(self, tried: Tried) -> None:
        """Write one trial: its settings, its score, the curve, its seconds."""
        from mlflow.entities import Metric, Param

        name = f"{self._name}/{tried.number}"
        tags = {"mlflow.parentRunId": self.run_id, "vitrine.reason": tried.reason}
        run_id = _find_or_create(self._client, self._experiment_id, name, tags=tags)
        run = self._client.get_run(run_id).info
        if run.status == _ENDED[tried.state]:
            return  # Its end is written last.
        now, told = run.start_time, {"seconds": tried.seconds}
        if tried.score is not None:
            told[TUNED_METRIC] = tried.score
        points = [Metric(key, value, now, 0) for key, value in told.items()]
        points += [Metric("curve", value, now, step) for step, value in enumerate(tried.curve)]
        params = [Param(key, str(value)) for key, value in tried.settings.items()]
        self._client.log_batch(run_id, metrics=points, params=params)
        self._client.set_terminated(run_id, status=_ENDED[tried.state])

    def finish(self, best: Tried, *, trials: int, artifact: Path) -> None:
        """Write what it came to; after more trials it says what they came to."""
        told = {TUNED_METRIC: best.score or 0.0, "best_trial": best.number, "trials": trials}
        for key, value in told.items():
            self._client.log_metric(self.run_id, key, value, step=trials)
        self._client.log_artifact(self.run_id, str(artifact))
        self._client.set_terminated(self.run_id)


def _opened(store: Path) -> "tuple[MlflowClient, str]":  # type: ignore[name-defined]  # noqa: F821
    """A client of the experiments in ``store``, and the id of ours."""
    # Read when mlflow is imported: neither the network nor anybody's statistics are its business.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = store / "mlflow.db"
    with exclusive(store / "mlflow.lock"):
        if not path.exists():
            # MLflow makes its tables in many steps, and cannot go on from some of them.
            sweep(store)
            with folder_aside(store, path.name) as aside:
                MlflowClient(tracking_uri=tracking_uri(aside)).search_experiments(max_results=1)
                put(aside / path.name, path)
    client = MlflowClient(tracking_uri=tracking_uri(store))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        return client, experiment.experiment_id
    artifacts = (store / "artifacts").as_uri()
    return client, client.create_experiment(EXPERIMENT, artifact_location=artifacts)


def _find_or_create(
    client: "MlflowClient",  # type: ignore[name-defined]  # noqa: F821
    experiment_id: str,
    name: str,
    *,
    tags: Mapping[str, str],
) -> str:
    found = client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{name}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    created = client.create_run(experiment_id, run_name=name, tags={RUN_TAG: name, **tags})
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
