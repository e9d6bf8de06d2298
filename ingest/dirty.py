"""The days that must be rebuilt: ``lake/dirty/<date>``, one empty file a day.

A day becomes dirty *before* its folder changes, so a kill in between rebuilds a day too many,
never one too few. ``vitrine build`` clears a day after it was rebuilt.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path


def days(lake: Path) -> list[date]:
    """The dirty days, oldest first."""
    return sorted(
        date.fromisoformat(marker.name)
        for marker in (lake / "dirty").glob("*")
        if not marker.name.startswith(".")
    )


def mark(lake: Path, day: date) -> None:
    """Say that ``day`` must be rebuilt."""
    (lake / "dirty").mkdir(parents=True, exist_ok=True)
    (lake / "dirty" / day.isoformat()).touch()


def clear(lake: Path, rebuilt: Iterable[date]) -> None:
    """Say that these days were rebuilt; days that were not dirty are no error."""
    for day in rebuilt:
        (lake / "dirty" / day.isoformat()).unlink(missing_ok=True)
