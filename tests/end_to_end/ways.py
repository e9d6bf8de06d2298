"""A small shop's way, step by step, with the home before each and what it must hold after.

A history, its build, online; then a day with rows that came an hour, a day and thirty days late,
replayed, reordered and corrected ones, and the same steps again.
"""

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.killing import Ended, Killer, killer

HEAVY = (
    "ingest.run",
    "ingest.connectors.files",
    "warehouse.build",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "features.materialize",
    "features.online",
    "quality.check",
)
OPENED = datetime(2026, 1, 1, 9, tzinfo=UTC)
TODAY = "2026-02-02"


def event(day: int, number: int, **more: object) -> dict[str, object]:
    kind = ("impression", "click", "purchase")[number % 3]
    sale = {"quantity": 1, "unit_price_cents": 100 + number} if kind == "purchase" else {}
    return {
        "event_id": f"{day}-{number}",
        "event_type": kind,
        "event_timestamp": (OPENED + timedelta(days=day, minutes=number)).isoformat(),
        "user_id": f"u{number % 4}",
        "item_id": f"i{(number + day) % 3}",
        "quantity": "",
        "unit_price_cents": "",
        **sale,
        **more,
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def opened(folder: Path) -> Path:
    """The shop's files up to the day: 30 days back, three days, and today (day 32)."""
    days = (0, 2, 30, 31, 32)
    events = [event(day, number) for day in days for number in range(9)]
    events += [event(31, 50, item_id="unknown"), event(31, 51, user_id=""), event(31, 3)]
    write_csv(folder / "events.csv", events)
    write_csv(folder / "items.csv", [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(3)])
    return folder


def become_today(data: Path, today: Path) -> Path:
    """What comes with the day: late, replayed, reordered and corrected rows."""
    shutil.copytree(data, today)
    with (data / "events.csv").open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, object]] = list(csv.DictReader(file))
    for row in rows:
        if row["event_id"] == "30-4":
            row["item_id"] = "i0"  # Corrected: as many rows as before.
    late = [event(31, 60), event(31, 61, user_id="late"), event(2, 62), event(2, 63, user_id="u9")]
    write_csv(today / "events.csv", [*late, *reversed(rows)])
    write_csv(today / "events_replayed.csv", [row for row in rows if "30-" in str(row["event_id"])])
    return today


@dataclass(frozen=True)
class Step:
    """One command of the shop's way, the source it reads and the home it starts from.

    ``commits``: what it did to files below the home, writes counted, when nothing disturbed it.
    """

    command: tuple[str, ...]
    data: Path
    before: Path
    commits: tuple[str, ...]
    expected: Mapping[str, object]


@dataclass(frozen=True)
class Way:
    """The steps, and how to go each of them again in ``home``."""

    home: Path
    after: Path
    steps: Mapping[str, Step]
    killer: Killer

    def back_to(self, step: Step) -> None:
        """Make the home what it was before the step."""
        shutil.rmtree(self.home)
        shutil.copytree(step.before, self.home)

    def run(self, step: Step, **harm: object) -> Ended:
        """Run the step's command; ``harm``: of ``Killer.run``."""
        return run(self.killer, step, self.home, **harm)

    def state(self) -> dict[str, object]:
        """What the home holds."""
        return self.killer.state(self.home)


def run(killer: Killer, step: Step, home: Path, **harm: object) -> Ended:
    """Run a step's command in a home."""
    return killer.run(*step.command, home=home, source="files", data=str(step.data), **harm)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "history": ("ingest", "--history", "--until", TODAY),
    "first build": ("build",),
    "first online": ("materialize",),
    "day": ("ingest", "--day", TODAY),
    "plan": ("build", "--plan", "--day", TODAY),
    "build": ("build", "--day", TODAY),
    "publish": ("build", "--publish-only", "--day", TODAY),
    "check": ("check", "features", "--day", TODAY),
    "online": ("materialize", "--day", TODAY),
}


PUBLISHED_AGAIN = (f"events/event_date={TODAY}", "user_features/event_date=2026-01-03")
"""What the step ``publish`` finds missing, as if the build before it had died there."""


@contextmanager
def gone(root: Path) -> Iterator[Way]:
    """The whole way below ``root``, gone once without harm."""
    home, data = root / "home", root / "data"
    for folder in (home, data):
        folder.mkdir()
    opened(data)
    with killer(*HEAVY) as kill:
        steps: dict[str, Step] = {}
        for name, command in COMMANDS.items():
            if name == "day":
                data = become_today(data, root / "data_today")
            if name == "publish":
                for part in PUBLISHED_AGAIN:
                    shutil.rmtree(home / "marts" / part)
            before = root / name.replace(" ", "_")
            shutil.copytree(home, before)
            step = Step(command, data, before, (), {})
            ended = run(kill, step, home, writes=True)
            assert ended.code == 0, f"{name}: {ended.stderr}"
            expected = kill.state(home)
            steps[name] = replace(step, commits=tuple(ended.commits), expected=expected)
        shutil.copytree(home, root / "after")
        yield Way(home, root / "after", steps, kill)


def difference(found: Mapping, expected: Mapping) -> list[str]:
    return [
        f"{part}: {key}"
        for part in expected
        for key in sorted({*found[part], *expected[part]}, key=str)
        if not isinstance(expected[part], dict) or found[part].get(key) != expected[part].get(key)
    ][:10]
