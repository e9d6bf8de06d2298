"""Long work tells where it is: one JSON line a step, in a file that ``vitrine up`` follows."""

import json
import logging
import time
from pathlib import Path

logger = logging.getLogger(__name__)


class Progress:
    """Append-only progress of one command.

    Lines are shorter than a pipe's atomic write, so several commands may share the file.
    """

    def __init__(self, path: Path, *, command: str) -> None:
        self._path = path
        self._command = command

    def __call__(
        self, stage: str, message: str, *, done: float | None = None, total: float | None = None
    ) -> None:
        """Say where ``stage`` is. ``done`` of ``total`` in the stage's own unit, if it has one."""
        line = {
            "time": round(time.time(), 3),
            "command": self._command,
            "stage": stage,
            "message": message,
            "done": done,
            "total": total,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        logger.info("%s: %s", stage, message)


def silent(
    stage: str, message: str, *, done: float | None = None, total: float | None = None
) -> None:
    """Stand in for ``Progress`` where nobody watches."""
