"""A long run in stages: a finished stage is not done again, whenever the run was killed."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from domain.files import write_json
from domain.receipts import Stopwatch
from models.loop import ProgressCall

logger = logging.getLogger(__name__)


class Stages:
    """Remembers in ``folder`` which stages are done, how long each took and what it noted.

    A stage's own files must be complete (written aside, then renamed) when it returns; its mark is
    written after them.
    """

    def __init__(self, folder: Path, *, progress: ProgressCall, total: int) -> None:
        self.folder = folder
        self._progress = progress
        self._total = total
        self._count = 0

    def run(self, name: str, work: Callable[[], Mapping[str, object] | None]) -> None:
        """Do ``work`` unless it was done before; what it returns is noted as JSON."""
        self._count += 1
        mark = self._mark(name)
        if mark.exists():
            logger.info("stage %s was done before", name)
            return
        self._tell(name, "begins", done=self._count - 1)
        watch = Stopwatch()
        notes = work() or {}
        write_json(mark, {"seconds": watch.seconds, "notes": dict(notes)})
        self._tell(name, f"done in {watch.seconds:.1f} s", done=self._count)

    def seconds(self) -> dict[str, float]:
        """Stage → seconds, of the process that finished it."""
        return {name: float(str(content["seconds"])) for name, content in self._read().items()}

    def notes(self) -> dict[str, Mapping[str, object]]:
        """Stage → what it noted."""
        notes: dict[str, Mapping[str, object]] = {}
        for name, content in self._read().items():
            noted = content["notes"]
            notes[name] = noted if isinstance(noted, dict) else {}
        return notes

    def clean(self) -> None:
        """Forget everything: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, dict[str, object]]:
        marks = sorted(self.folder.glob("*.done.json"), key=lambda path: path.stat().st_mtime_ns)
        return {
            path.name.removesuffix(".done.json"): json.loads(path.read_text(encoding="utf-8"))
            for path in marks
        }

    def _mark(self, name: str) -> Path:
        return self.folder / f"{name}.done.json"

    def _tell(self, name: str, message: str, *, done: int) -> None:
        self._progress("train", f"{name} {message}", done=done, total=self._total)
