"""How the task of a dbt model ends, from what its build told and how the build itself stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from domain.node_results import BROKEN, BUILT, NodeResult, Told

OVER: Final = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
"""States in which the building task will do nothing more, unless somebody clears it."""


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


def made_at(task_instance: UUID) -> datetime:
    """When a try of a task was made: Airflow gives each a new UUID of version 7, RFC 9562."""
    return datetime.fromtimestamp((task_instance.int >> 80) / 1000, UTC)
