"""Which days a shop's source has, asked before anything is started.

``python -m stack.span`` answers in a process of its own: reading a million lines leaves a footprint
that ``vitrine up`` would carry to its end.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import attrgetter

from domain.errors import BadInputError, VitrineError
from domain.events import Source
from domain.files import write_json
from domain.settings import Settings


@dataclass(frozen=True)
class Span:
    """The last day of a source, and the day before it on which the shop had events (if any)."""

    last: date
    before_last: date | None


def source_span(settings: Settings, *, environment: Mapping[str, str]) -> Span:
    """The source's last two days; remembered for as long as its files do not change.

    Raises:
        BadInputError: If the source cannot be read, or has no day.
    """
    memory = settings.cache / "source_span.json"
    seen = fingerprint(settings)
    if memory.exists():
        content = json.loads(memory.read_text(encoding="utf-8"))
        if content.pop("fingerprint") == seen:
            return _span(content["days"])
    answer = subprocess.run(
        [sys.executable, "-m", "stack.span"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        kind = BadInputError if answer.returncode == 2 else VitrineError
        raise kind(answer.stderr.strip() or "the source cannot be read")
    days = json.loads(answer.stdout.splitlines()[-1])
    write_json(memory, {"fingerprint": seen, "days": days})
    return _span(days)


def fingerprint(settings: Settings) -> str:
    """Changes when the source does: its name, size and time of every file, or preset and seed."""
    parts = [settings.source.value, settings.simulator_preset, str(settings.simulator_seed)]
    if settings.data is not None:
        data = settings.data.expanduser().resolve()
        files = sorted(data.rglob("*")) if data.is_dir() else [data]
        parts += [f"{f} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files if f.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def require_source(settings: Settings) -> None:
    """Refuse at once what a look at the path can tell.

    Raises:
        BadInputError: If the source needs a path and there is none, or nothing is there.
    """
    if settings.source == Source.SIMULATED:
        return
    if settings.data is None:
        raise BadInputError(
            f"source {settings.source} needs a folder or a file: --data PATH (make run DATA=PATH)"
        )
    if not settings.data.expanduser().exists():
        raise BadInputError(f"{settings.data}: no such file or folder")


def last_days(settings: Settings) -> list[date]:
    """The last two days on which the source has events, oldest first; one if it has only one."""
    if settings.source == Source.SIMULATED:
        from simulator.config import PRESETS

        if settings.simulator_preset not in PRESETS:
            raise BadInputError(
                f"no simulator preset '{settings.simulator_preset}': "
                f"expected one of {', '.join(PRESETS)}"
            )
        return list(PRESETS[settings.simulator_preset].days[-2:])
    from domain.clock import wall_now
    from domain.schemas import LANDED
    from ingest.connectors import open_connector
    from ingest.sift import judge

    raws = open_connector(settings).read(day=None, until=None)
    table, batches = next(groupby(raws, key=attrgetter("table")))
    schema, found = LANDED[settings.source.value][table], set[date | None]()
    for raw in batches:
        found |= judge(raw.rows, table=table, schema=schema, now=wall_now()).rows_in().keys()
    days = sorted(day for day in found if day is not None)
    if not days:
        raise BadInputError(f"{settings.data}: no row of {table} has a day that can be read")
    return days[-2:]


def _span(days: list[str]) -> Span:
    last, *earlier = [date.fromisoformat(day) for day in reversed(days)]
    return Span(last=last, before_last=earlier[0] if earlier else None)


def main() -> int:
    """Answer with the last days as JSON; 2 and a sentence if the source cannot be read."""
    try:
        days = last_days(Settings())
    except BadInputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps([day.isoformat() for day in days]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
