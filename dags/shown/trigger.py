"""Waits in the triggerer until a dbt model is built, and ends its task.

``vitrine build --run R`` builds all models in one process and tells what became of each
(``domain.node_results``). Here one coroutine a model looks, every two seconds, at what was told.
Nothing is kept in memory only: after a restart of the triggerer the next look finds the same file.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from weakref import WeakValueDictionary

from airflow.configuration import conf
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from dags.shown.verdict import judge, made_at
from domain.node_results import Told, read_told, results_file

logger = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Models that end between two looks end together: Airflow reads the Dag once for them all."""

_EVENTS: Final = {
    "success": TaskSuccessEvent,
    "failed": TaskFailedEvent,
    "skipped": TaskSkippedEvent,
}


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
                self._looked = time.monotonic()
                state = await self._state()
                self._seen = (state, read_told(self._file))
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

    @classmethod
    def classpath(cls) -> str:
        """Where the triggerer finds this class."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes this trigger again, in another process."""
        return self.classpath(), {"built_by": self.built_by, "nodes": self.nodes}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the model is done or the build is over."""
        task = self.task_instance
        watch = _Watch.of(task.dag_id, task.run_id, self.built_by)
        since = made_at(task.id)
        while True:
            # First of all, too: what others saw before this try was made (a Clear) is no longer so.
            await asyncio.sleep(LOOK_S)
            build, told = await watch.look()
            if verdict := judge(self.nodes, told, build=build, since=since):
                level = logging.ERROR if verdict.state == "failed" else logging.INFO
                for line in verdict.why.splitlines():
                    self.log.log(level, line)
                yield _EVENTS[verdict.state]()
                return
