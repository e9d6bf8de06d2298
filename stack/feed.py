"""Follows the progress log that the commands write, while Airflow runs them elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One line of the progress log. ``done`` of ``total`` in the stage's own unit."""

    command: str
    stage: str
    message: str
    done: float | None
    total: float | None
    time: float


class Feed:
    """Reads what was appended since the last look; starts at the log's present end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def new_steps(self) -> Iterator[Step]:
        """The steps since the last call. Half a line waits for its other half."""
        if not self._path.exists():
            return
        if self._path.stat().st_size < self._offset:  # somebody emptied it
            self._offset, self._rest = 0, b""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            content = log.read()
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            step = _step(line)
            if step is not None:
                yield step


def _step(line: bytes) -> Step | None:
    try:
        entry = json.loads(line)
        return Step(
            command=str(entry["command"]),
            stage=str(entry["stage"]),
            message=str(entry["message"]),
            done=entry.get("done"),
            total=entry.get("total"),
            time=float(entry["time"]),
        )
    except (ValueError, KeyError, TypeError):
        return None  # another program's line is no reason to stop the shop
