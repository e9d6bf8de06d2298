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


def find_run(runs: Path, name: str | None) -> RunInfo:
    """The run of that name; without one, the run with the latest cutoff, then the latest finished.

    Raises:
        BadInputError: If there is none.
    """
    if name is not None:
        return read_run(runs / name)
    finished = [read_run(path.parent) for path in runs.glob(f"*/{RUN_JSON}")]
    if not finished:
        raise BadInputError(f"there is no finished run in {runs}: run vitrine train first")
    return max(finished, key=lambda run: (run.until, (run.folder / RUN_JSON).stat().st_mtime_ns))
