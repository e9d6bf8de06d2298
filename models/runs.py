"""A run's folder and its ``run.json``: what was trained, on what, by what, how long."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import BadInputError

RUN_JSON: Final = "run.json"
ENCODER: Final = "encoder"
"""Folder of the run's text encoder; absent where that is the installed default."""


@dataclass(frozen=True)
class RunInfo:
    """What others need of a finished run; ``content`` is the whole ``run.json``."""

    name: str
    folder: Path
    until: date
    content: dict[str, object]


def read_run(folder: Path) -> RunInfo:
    """Read a finished run.

    Raises:
        BadInputError: If the folder holds none.
    """
    path = folder / RUN_JSON
    if not path.exists():
        raise BadInputError(f"{folder} is no finished run: {RUN_JSON} is missing")
    content = json.loads(path.read_text(encoding="utf-8"))
    return RunInfo(content["run"], folder, date.fromisoformat(content["until"]), content)


def find_run(runs: Path, name: str | None, *, known: date | None = None) -> RunInfo:
    """The run of that name; without one, the run that was finished (or asked for) last.

    Args:
        runs: ``settings.runs``.
        name: A run's name.
        known: First day whose events must not have been learned from; None: any.

    Raises:
        BadInputError: If there is none, or the named one learned from later days.
    """
    if name is not None:
        return _require_known(read_run(runs / name), known)
    finished = [read_run(path.parent) for path in runs.glob(f"*/{RUN_JSON}")]
    fit = [run for run in finished if known is None or run.until <= known]
    if not fit:
        before = f" that learned only from days before {known}" if known else ""
        raise BadInputError(f"there is no finished run{before} in {runs}: run vitrine train first")
    return max(fit, key=lambda run: (run.folder / RUN_JSON).stat().st_mtime_ns)


def _require_known(run: RunInfo, known: date | None) -> RunInfo:
    if known is not None and run.until > known:
        raise BadInputError(
            f"run {run.name} learned from events up to {run.until}: what it says of {known} would "
            "be hindsight; name a run or a release with an earlier cutoff"
        )
    return run
