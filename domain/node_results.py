"""What became of every dbt node, told while a build runs: one file a run, one JSON line a node.

``vitrine build --run NAME`` writes it; the Airflow tasks that show a model each read it. A build
that is tried again appends to its run's file, behind a line that says when it began: what stands
before the last such line is of an earlier try.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from domain.errors import BadInputError

BUILT: Final = frozenset({"success", "pass", "warn"})
BROKEN: Final = frozenset({"error", "fail", "runtime error"})

_KEPT: Final = timedelta(days=30)
_RUN: Final = re.compile(r"[A-Za-z0-9_~:+-][A-Za-z0-9_.~:+-]*")  # what Airflow allows as a run's id
_BEGUN: Final = "begun"


@dataclass(frozen=True)
class NodeResult:
    """One model or test. ``status``: dbt's word; ``message``: dbt's sentence, perhaps empty."""

    unique_id: str
    status: str
    seconds: float
    message: str


@dataclass(frozen=True)
class Told:
    """What a run's last try told so far; ``begun`` is None until a first one begins."""

    begun: datetime | None = None
    results: Mapping[str, NodeResult] = field(default_factory=dict)


def results_file(folder: Path, run: str) -> Path:
    """Where the results of a run stand.

    Raises:
        BadInputError: If the run's name cannot be a file's.
    """
    if not _RUN.fullmatch(run):
        raise BadInputError(f"a run is named with letters, digits and _.~:+-, got {run!r}")
    return folder / f"{run}.jsonl"


def nobody(result: NodeResult) -> None:
    """Stand in for ``NodeResults`` where nobody watches."""


class NodeResults:
    """Appends the results of one try; forgets files that nobody touched for 30 days."""

    def __init__(self, path: Path, *, now: datetime) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        for other in path.parent.glob("*.jsonl"):
            if datetime.fromtimestamp(other.stat().st_mtime, UTC) < now - _KEPT:
                other.unlink(missing_ok=True)
        # A try that was killed may have left half a line.
        self._append("\n" + json.dumps({_BEGUN: now.isoformat()}))

    def __call__(self, result: NodeResult) -> None:
        """Tell one result."""
        self._append(json.dumps(asdict(result)))

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def read_told(path: Path) -> Told:
    """What the last try told; a line that is still being written is left for the next look."""
    if not path.exists():
        return Told()
    begun: datetime | None = None
    results: dict[str, NodeResult] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if _BEGUN in entry:
            begun, results = datetime.fromisoformat(entry[_BEGUN]), {}
        else:
            results[entry["unique_id"]] = NodeResult(**entry)
    return Told(begun, results)
