"""The days that must be rebuilt: ``lake/dirty/<date>``, one small file a day.

A day is marked *before* its folder changes and again after, so a kill in between rebuilds a day
too many, never one too few. Every marking adds a line of its own to the file; whoever rebuilds
reads the marks first and afterwards removes those that are still the same: a mark made meanwhile
survives, no clock is asked, and a lock keeps looking and removing together.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from uuid import uuid4

from domain.files import exclusive

Marks = Mapping[date, str]
"""Day → the marks it had: what ``forget`` compares with."""


def days(lake: Path) -> list[date]:
    """The marked days, oldest first."""
    return sorted(
        date.fromisoformat(marker.name)
        for marker in (lake / "dirty").glob("*")
        if not marker.name.startswith(".")
    )


def mark(lake: Path, day: date) -> None:
    """Say that ``day`` must be rebuilt."""
    with _together(lake):
        _add_mark(lake, day)


def hold(lake: Path, wanted: Iterable[date]) -> Marks:
    """Mark the days that are not marked yet, and return the marks of them all."""
    with _together(lake):
        days_held = list(wanted)
        for day in days_held:
            if not _file(lake, day).exists():
                _add_mark(lake, day)
        return {day: _marks(lake, day) for day in days_held}


def is_unchanged(lake: Path, day: date, marks: str) -> bool:
    """Whether ``day`` was not marked again since ``hold`` returned ``marks``."""
    with _together(lake):
        return _marks(lake, day) == marks


def forget(lake: Path, rebuilt: Marks) -> None:
    """Say that these days were rebuilt as they were when ``rebuilt`` was read.

    A day that was marked again since keeps its mark.
    """
    with _together(lake):
        for day, marks in rebuilt.items():
            if _marks(lake, day) == marks:
                _file(lake, day).unlink(missing_ok=True)


def clear(lake: Path, rebuilt: Iterable[date]) -> None:
    """Remove every mark of these days; days that were not marked are no error."""
    with _together(lake):
        for day in rebuilt:
            _file(lake, day).unlink(missing_ok=True)


def _together(lake: Path) -> AbstractContextManager[None]:
    return exclusive(lake / "dirty.lock")


def _add_mark(lake: Path, day: date) -> None:
    _file(lake, day).parent.mkdir(parents=True, exist_ok=True)
    # Appended: a kill in the middle of a write never makes two different marks look the same.
    with _file(lake, day).open("a", encoding="utf-8") as file:
        file.write(f"{uuid4().hex}\n")


def _marks(lake: Path, day: date) -> str:
    file = _file(lake, day)
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _file(lake: Path, day: date) -> Path:
    return lake / "dirty" / day.isoformat()
