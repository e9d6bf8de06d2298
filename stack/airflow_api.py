"""Talks to Airflow the way any program would: its public REST API, with a token."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from domain.errors import VitrineError

UNFINISHED: Final = frozenset({"queued", "running"})
_TRIES: Final = 5


@dataclass(frozen=True)
class Run:
    """One run of a Dag. ``state``: queued, running, success or failed."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None
    conf: Mapping[str, object]
    run_after: datetime


@dataclass(frozen=True)
class TaskState:
    """Where one task of a run is; ``seconds`` is None until it has ended, times are ISO 8601."""

    task_id: str
    state: str
    try_number: int
    seconds: float | None
    ended: str
    started: str = "~"


class AirflowApi:
    """The part of ``/api/v2`` that the shop needs; a busy server is asked again."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._login = {"username": user, "password": password}

    def is_healthy(self) -> bool:
        """Whether the database, scheduler, Dag processor and triggerer are all well."""
        try:
            answer = self._client.get("/api/v2/monitor/health")
            states = [part["status"] for part in answer.json().values()]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return answer.is_success and all(state == "healthy" for state in states)

    def has_dags(self, dag_ids: frozenset[str]) -> bool:
        """Whether all these Dags are known.

        Raises:
            VitrineError: If a Dag file cannot be imported.
        """
        errors = self._call("GET", "/importErrors")["import_errors"]
        if errors:
            trace = "\n".join(error["stack_trace"] for error in errors)
            raise VitrineError(f"Airflow cannot read a Dag file: {trace}")
        dags = self._call("GET", "/dags", params={"limit": 100})["dags"]
        return dag_ids <= {dag["dag_id"] for dag in dags}

    def make_pool(self, name: str, *, slots: int, description: str) -> None:
        """Make a pool, unless there is one."""
        pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self._call("POST", "/pools", json=pool, fine=(409,))

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run this Dag."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(
        self,
        dag_id: str,
        *,
        partition_key: str | None = None,
        conf: Mapping[str, object] | None = None,
        note: str = "",
    ) -> Run:
        """Start a run: about a day (its partition key), or with a filled-in form."""
        body = {
            "logical_date": None,
            "partition_key": partition_key,
            "conf": dict(conf or {}),
            "note": note,
        }
        return _run(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def newest_run(self, dag_id: str, *, partition_key: str | None = None) -> Run | None:
        """The last run that was made, of this day if one is given."""
        found = self._call(
            "GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after", "limit": 100}
        )
        runs = [_run(entry) for entry in found["dag_runs"]]
        return next((r for r in runs if partition_key in (None, r.partition_key)), None)

    def run(self, run: Run) -> Run:
        """The same run, as it is now."""
        return _run(self._call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}"))

    def resume(self, run: Run) -> Run:
        """Run again what failed in it, and what waited for that."""
        body = {
            "dry_run": False,
            "dag_run_id": run.run_id,
            "only_failed": True,
            "reset_dag_runs": True,
        }
        self._call("POST", f"/dags/{run.dag_id}/clearTaskInstances", json=body)
        return self.run(run)

    def task_states(self, run: Run) -> list[TaskState]:
        """Every task of a run, those that ended first first."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        found = self._call("GET", path, params={"limit": 500})["task_instances"]
        states = [
            TaskState(
                task_id=entry["task_id"],
                state=entry["state"] or "none",
                try_number=entry["try_number"],
                seconds=entry["duration"],
                ended=entry["end_date"] or "~",
                started=entry["start_date"] or "~",
            )
            for entry in found
        ]
        return sorted(states, key=lambda task: task.ended)

    def log(self, run: Run, task: TaskState) -> list[str]:
        """The lines that the last try of a task wrote."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task.task_id}"
        answer = self._call("GET", f"{path}/logs/{task.try_number}", params={"full_content": True})
        lines = [line for line in answer.get("content", []) if isinstance(line, dict)]
        return [line["event"] for line in lines if "sources" not in line]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(
        self, method: str, path: str, *, fine: tuple[int, ...] = (), **options: Any
    ) -> dict[str, Any]:
        """Ask; log in where needed; ask again while the server is busy (SQLite locks)."""
        for left in reversed(range(_TRIES)):
            try:
                answer = self._client.request(method, f"/api/v2{path}", **options)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self._log_in()
                    continue
            except httpx.TransportError as error:
                reason, is_final = str(error), left == 0
            else:
                if answer.is_success or answer.status_code in fine:
                    return answer.json()  # type: ignore[no-any-return]
                reason = f"{answer.status_code} {answer.text[:500]}"
                is_final = left == 0 or not answer.is_server_error
            if is_final:
                raise VitrineError(f"Airflow refused {method} {path}: {reason}")
            time.sleep(1.0)
        raise VitrineError(f"Airflow does not accept the password for {self._login['username']}")

    def _log_in(self) -> None:
        answer = self._client.post("/auth/token", json=self._login)
        if answer.is_success:
            self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _run(entry: Mapping[str, Any]) -> Run:
    return Run(
        dag_id=entry["dag_id"],
        run_id=entry["dag_run_id"],
        state=entry["state"],
        partition_key=entry["partition_key"],
        conf=entry["conf"] or {},
        run_after=datetime.fromisoformat(entry["run_after"].replace("Z", "+00:00")),
    )
