"""A dbt model as an Airflow task that costs no process: the triggerer waits for it and ends it.

``vitrine build --run R`` builds all models in one process and tells what became of each
(``domain.node_results``). The scheduler hands these tasks straight to the triggerer, where one
coroutine each looks, every two seconds, at what was told. Nothing is kept in memory only: after a
restart of the triggerer the next look finds the same file.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID
from weakref import WeakValueDictionary

from airflow.configuration import conf
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import (
    BaseTrigger,
    StartTriggerArgs,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from domain.node_results import BROKEN, BUILT, NodeResult, Told, read_told, results_file

logger = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Models that end between two looks end together: Airflow reads the Dag once for them all."""

OVER: Final = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
_EVENTS: Final = {
    "success": TaskSuccessEvent,
    "failed": TaskFailedEvent,
    "skipped": TaskSkippedEvent,
}


class BuiltModel(BaseOperator):
    """Shows one dbt model: green, red or skipped as it and its tests are."""

    start_from_trigger = True
    ui_color = "#ffe4d6"

    def __init__(self, *, built_by: str, nodes: Sequence[str], **kwargs: Any) -> None:
        """Args are those of any task, and two more.

        Args:
            built_by: The task that runs dbt.
            nodes: The model and its tests, as dbt names them.
            **kwargs: Of ``BaseOperator``.
        """
        # Not behind the models it reads: the build decides their order. The next try is the
        # build's, too, and the trigger waits for it.
        super().__init__(trigger_rule="always", retries=0, **kwargs)
        self.built_by = built_by
        self.nodes = list(nodes)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="dags.built_model.ModelTrigger",
            trigger_kwargs={"built_by": built_by, "nodes": self.nodes},
            next_method="execute",
        )

    def execute(self, context: Context) -> None:
        """Wait in the triggerer; called where a worker runs the task all the same."""
        trigger = ModelTrigger(built_by=self.built_by, nodes=self.nodes)
        self.defer(trigger=trigger, method_name="execute")


@dataclass(frozen=True)
class Verdict:
    """How a task ends, and why."""

    state: str
    why: str


def judge(
    nodes: Sequence[str], told: Told, *, build: str | None, since: datetime
) -> Verdict | None:
    """How the task of a model ends; None while that is open.

    Args:
        nodes: The model and its tests.
        told: What the build told.
        build: State of the task that builds, None before it is scheduled.
        since: When this try of the model's task was made. While the build is at work, only a try
            of it that began later counts: the file may hold one from before a Clear.
    """
    is_over = build in OVER
    is_ours = told.begun is not None and (is_over or told.begun >= since)
    results = [told.results[name] for name in nodes if name in told.results] if is_ours else []
    if len(results) == len(nodes) and all(result.status in BUILT for result in results):
        return Verdict("success", _said(results))
    if not is_over:
        return None  # what failed may be tried again
    if any(result.status in BROKEN for result in results):
        return Verdict("failed", _said(results))
    if len(results) == len(nodes):
        return Verdict("skipped", f"{_said(results)}\ndbt leaves out what reads a failed model")
    if build == "success":
        return Verdict("skipped", "the build ended well, and this model was not in it")
    return Verdict("failed", f"the build ended ({build}) before this model did: its log says why")


def _said(results: Sequence[NodeResult]) -> str:
    return "\n".join(
        f"{one.unique_id}: {one.status} in {one.seconds:.1f} s {one.message}".rstrip()
        for one in results
    )


class _Watch:
    """What one run's build told, looked up once for all its models."""

    _open: ClassVar[WeakValueDictionary[tuple[str, ...], "_Watch"]] = WeakValueDictionary()

    def __init__(self, dag_id: str, run_id: str, built_by: str) -> None:
        self._where = (dag_id, run_id, built_by)
        self._file = results_file(Path(conf.get("vitrine", "builds")), run_id)
        self._turn = asyncio.Lock()
        self._looked = float("-inf")
        self._seen: tuple[str | None, Told] = (None, Told())

    @classmethod
    def of(cls, dag_id: str, run_id: str, built_by: str) -> "_Watch":
        """The one that others look through too, as long as any of them does."""
        key = (dag_id, run_id, built_by)
        watch = cls._open.get(key) or cls(*key)
        cls._open[key] = watch
        return watch

    async def look(self) -> tuple[str | None, Told]:
        """The state of the building task, then what it told: in this order nothing is missed."""
        async with self._turn:
            if time.monotonic() - self._looked >= LOOK_S:
                state = await self._state()
                self._seen = (state, read_told(self._file))
                self._looked = time.monotonic()
            return self._seen

    async def _state(self) -> str | None:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        dag_id, run_id, task_id = self._where
        try:
            found = await asyncio.to_thread(
                RuntimeTaskInstance.get_task_states,
                dag_id=dag_id,
                task_ids=[task_id],
                run_ids=[run_id],
            )
        except AirflowRuntimeError as error:  # the database was busy: the next look asks again
            logger.warning("the state of %s in %s is not known: %s", task_id, run_id, error)
            return self._seen[0]
        return found.get(run_id, {}).get(task_id)  # type: ignore[no-any-return]


class ModelTrigger(BaseTrigger):
    """Ends a model's task as soon as it is known how."""

    def __init__(self, *, built_by: str, nodes: Sequence[str]) -> None:
        super().__init__()
        self.built_by = built_by
        self.nodes = list(nodes)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes this trigger again, in another process."""
        return "dags.built_model.ModelTrigger", {"built_by": self.built_by, "nodes": self.nodes}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the model is done or the build is over."""
        task = self.task_instance
        watch = _Watch.of(task.dag_id, task.run_id, self.built_by)
        since = made_at(task.id)
        while True:
            build, told = await watch.look()
            if verdict := judge(self.nodes, told, build=build, since=since):
                level = logging.ERROR if verdict.state == "failed" else logging.INFO
                for line in verdict.why.splitlines():
                    self.log.log(level, line)
                yield _EVENTS[verdict.state]()
                return
            await asyncio.sleep(LOOK_S)


def made_at(task_instance: UUID) -> datetime:
    """When a try of a task was made: Airflow gives each a new UUID of version 7, RFC 9562."""
    return datetime.fromtimestamp((task_instance.int >> 80) / 1000, UTC)
