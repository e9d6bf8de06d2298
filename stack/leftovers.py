"""Law L10: nothing is left of a run that is over: no temporary file, no process.

Locks cannot be left: the kernel frees them with their holder. A temporary file beside a lock that
is held is somebody's present work. A process is left when its ``vitrine up`` is gone.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from domain.files import is_held, leftovers
from ingest.audit import Break
from stack.hops import Hop, judged

_SAME_START_S: Final = 1.0
_GUARDED: Final = {"warehouse.lock": ("marts", "cache")}
"""What a lock guards that does not lie beside it."""


def tidy(root: Path) -> Hop:
    """Look for what a killed run left behind in a home."""
    busy = [lock for lock in locks(root) if is_held(lock)]
    areas = {area for lock in busy for area in _guarded(lock.relative_to(root).parts[0])}
    left = [path for path in leftovers(root) if path.relative_to(root).parts[0] not in areas]
    breaks = [Break("leftovers", None, f"{path} was left by a killed run") for path in left]
    breaks += _orphans(root)
    said = f"{len(left)} files and {len(breaks) - len(left)} processes set aside and forgotten"
    held = ", ".join(str(lock.relative_to(root)) for lock in busy)
    return judged("leftovers", len(left), said, breaks, f"still at work: {held}" if held else "")


def _guarded(place: str) -> tuple[str, ...]:
    return _GUARDED.get(place, (place,))


def locks(root: Path) -> list[Path]:
    """Every lock file of a home."""
    return sorted(path for path in root.rglob("*.lock") if path.is_file())


def _orphans(root: Path) -> Iterator[Break]:
    """Processes that a ``vitrine up`` noted and did not live to end."""
    record = root / "logs" / "up.json"
    if not record.exists():
        return
    noted = json.loads(record.read_text(encoding="utf-8"))
    if psutil.pid_exists(noted["pid"]):
        return
    for pid, started, service in noted["processes"]:
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < _SAME_START_S:
                said = f"process {pid} ({service}) was left by a vitrine up that is gone"
                yield Break("leftovers", None, said)
        except psutil.Error:
            continue
