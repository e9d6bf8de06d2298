"""Follows runs in Airflow to their end and shows what happens in them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from domain.errors import VitrineError
from stack.airflow_api import UNFINISHED, AirflowApi, Run, TaskState
from stack.feed import Feed, Step
from stack.screen import Screen

POLL_S: Final = 1.0
QUIET_GROUP: Final = "dbt."
"""Tasks of this group are counted, not listed: there is one for every dbt model."""


class TaskFailedError(VitrineError):
    """A task of a run failed; says which, and what it wrote last."""


@dataclass
class Follower:
    """Waits for runs. ``require_running`` raises when Airflow itself is no longer there."""

    api: AirflowApi
    feed: Feed
    screen: Screen
    require_running: Callable[[], None]
    seconds: dict[str, float] = field(default_factory=dict)

    def follow(self, run: Run) -> Run:
        """Wait until the run has ended well.

        Raises:
            TaskFailedError: If it failed.
        """
        seen: dict[str, str] = {}
        while True:
            self.require_running()
            self._show_steps()
            now = self.api.run(run)
            tasks = self.api.task_states(run)
            for task in tasks:
                self._show(run, task, seen)
            self._show_models(run, tasks, seen)
            if now.state not in UNFINISHED:
                break
            time.sleep(POLL_S)
        self._show_steps()
        self.screen.clear()
        if now.state == "failed":
            raise TaskFailedError(self._why(run))
        return now

    def await_run(self, dag_id: str, *, partition_key: str, other_than: Run | None) -> Run:
        """Wait for the run that an asset triggers.

        Raises:
            VitrineError: If none comes within two minutes.
        """
        end = time.monotonic() + 120
        while time.monotonic() < end:
            self.require_running()
            run = self.api.newest_run(dag_id, partition_key=partition_key)
            if run is not None and (other_than is None or run.run_id != other_than.run_id):
                return run
            time.sleep(POLL_S)
        raise VitrineError(f"no run of {dag_id} for {partition_key} came within 120 s")

    def _show_steps(self) -> None:
        for step in self.feed.new_steps():
            self.screen.step(step)

    def _show(self, run: Run, task: TaskState, seen: dict[str, str]) -> None:
        before, seen[task.task_id] = seen.get(task.task_id), task.state
        is_quiet = task.task_id.startswith(QUIET_GROUP) and task.state != "failed"
        if before == task.state or is_quiet:
            return
        if task.state == "running":
            self.screen.say(f"{run.dag_id} · {task.task_id} …")
        elif task.state in {"success", "failed", "up_for_retry", "upstream_failed", "skipped"}:
            took = f" ({task.seconds:.0f} s)" if task.seconds is not None else ""
            style = {"success": "green", "failed": "red"}.get(task.state, "")
            self.screen.say(f"{run.dag_id} · {task.task_id}: {task.state}{took}", style=style)
            if task.seconds is not None:
                self.seconds[f"{run.dag_id} · {task.task_id}"] = task.seconds

    def _show_models(self, run: Run, tasks: list[TaskState], seen: dict[str, str]) -> None:
        """How many dbt models are done: a bar, like a command's own steps."""
        models = [t for t in tasks if t.task_id.startswith(QUIET_GROUP)]
        done = [task for task in models if task.state == "success"]
        if not done or seen.get("models done") == str(len(done)):
            return
        seen["models done"] = str(len(done))
        last = done[-1].task_id.removeprefix(QUIET_GROUP)
        self.screen.step(
            Step(
                command=run.dag_id,
                stage="dbt",
                message=f"{len(done)} of {len(models)} tasks, last {last}",
                done=len(done),
                total=len(models),
                time=time.time(),
            )
        )

    def _why(self, run: Run) -> str:
        failed = [task for task in self.api.task_states(run) if task.state == "failed"]
        if not failed:
            return f"the run of {run.dag_id} failed before any task ran: {run.run_id}"
        task = failed[0]
        day = f" for {run.partition_key}" if run.partition_key else ""
        lines = command_lines(self.api.log(run, task))
        told = "\n".join(f"  | {line}" for line in lines[-15:])
        return f"{run.dag_id} · {task.task_id}{day} failed; it wrote last:\n{told}"


def command_lines(lines: list[str]) -> list[str]:
    """What the command itself wrote: Airflow's bash operator frames it; else everything."""
    start = next((i + 1 for i, line in enumerate(lines) if line.startswith("Output:")), 0)
    after = lines[start:]
    end = next((i for i, line in enumerate(after) if line.startswith("Command exited")), None)
    told = [line for line in after[:end] if line.strip() and not line.startswith("::")]
    return told or ["nothing"]
