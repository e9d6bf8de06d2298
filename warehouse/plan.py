"""Which days a build replaces, decided once and written down.

Events and what hangs on one day alone are replaced for exactly the requested and the dirty days.
Features, histories and snapshots look back, some of them for ever (first sale, what was ever
bought): they are replaced from the first such day to the newest day that was ever built. For the
newest day, which is the rule, that is the day itself.

A shop without Saturdays still has events leaving windows on Saturdays: the days between the last
built day and the first requested one are built with it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

from domain import dirty
from domain.dirty import Marks
from domain.errors import BadInputError
from domain.files import sweep_beside, write_json
from domain.settings import Settings
from warehouse.lake import landed_days, partition_days, write_types
from warehouse.snapshots import days_to_judge_again


@dataclass(frozen=True)
class Plan:
    """``feature_from`` and ``feature_until`` are both replaced.

    ``requested`` is what was asked for; ``days`` adds the dirty and the closed ones. ``is_full``:
    from the lake alone, whatever the warehouse holds. ``plan_id``: dbt notes which plan it built.
    ``marks``: of each day, as they were before dbt read the lake (``domain.dirty``).
    """

    requested: tuple[date, ...]
    days: tuple[date, ...]
    feature_from: date
    feature_until: date
    is_full: bool
    plan_id: str = ""
    marks: Marks = field(default_factory=dict)

    @property
    def feature_days(self) -> tuple[date, ...]:
        """Every calendar day of the range."""
        count = (self.feature_until - self.feature_from).days + 1
        return tuple(self.feature_from + timedelta(days=i) for i in range(count))


def published_days(settings: Settings) -> set[date]:
    """The days that were built and proven before; features also stand on days without events."""
    tables = ("events", "rejected_events", "user_features", "item_features")
    return set().union(*(partition_days(settings.marts / table) for table in tables))


def plan_days(requested: Iterable[date], *, dirty: set[date], built: set[date]) -> Plan:
    """The plan for some days.

    Args:
        requested: The days that were asked for.
        dirty: The days whose landed rows changed, or whose build did not end.
        built: The days that were built before.

    Raises:
        BadInputError: If there is nothing to build.

    Example:
        >>> friday, monday = date(2011, 1, 7), date(2011, 1, 10)
        >>> plan = plan_days([monday], dirty=set(), built={friday})
        >>> [day.day for day in plan.days], [day.day for day in plan.feature_days]
        ([8, 9, 10], [8, 9, 10])
    """
    asked = tuple(sorted(set(requested)))
    wanted = {*asked, *dirty}
    if not wanted:
        raise BadInputError("nothing to build: no day was asked for, and none is dirty")
    days = tuple(sorted(wanted | _closed_days_before(min(wanted), built)))
    last = max({*days, *built})
    return Plan(asked, days, days[0], last, is_full=False)


def _closed_days_before(day: date, built: set[date]) -> set[date]:
    before = [earlier for earlier in built if earlier < day]
    if not before:
        return set()
    return {max(before) + timedelta(days=i) for i in range(1, (day - max(before)).days)}


def plan_all(*, landed: Iterable[date], built: set[date]) -> Plan:
    """The plan that rebuilds everything; days that are no longer landed become empty.

    Raises:
        BadInputError: If nothing was landed.
    """
    known = sorted(landed)
    if not known:
        raise BadInputError("nothing to build: the lake is empty, run vitrine ingest first")
    days = tuple(sorted({*known, *built}))
    return Plan(days, days, days[0], days[-1], is_full=True)


def days_to_rebuild(settings: Settings, days: set[date], *, built: set[date]) -> set[date]:
    """The days that must be built whether asked for or not, when ``days`` are."""
    marked = set(dirty.days(settings.lake))
    return marked | days_to_judge_again(settings, days=days | marked, built=built)


def make_plan(settings: Settings, days: Iterable[date], *, is_full: bool) -> Plan:
    """Decide, mark the days dirty until they are published, and write the plan for dbt."""
    days, built = set(days), published_days(settings)
    if is_full:
        plan = plan_all(landed=landed_days(settings.lake, settings.source), built=built)
    else:
        plan = plan_days(days, dirty=days_to_rebuild(settings, days, built=built), built=built)
    write_types(settings.cache)
    marks = dirty.hold(settings.lake, plan.days)
    plan = replace(plan, plan_id=uuid4().hex, marks=marks)
    sweep_beside(plan_file(settings))
    content = asdict(plan) | {"marks": {str(day): held for day, held in marks.items()}}
    write_json(plan_file(settings), content)
    return plan


def plan_file(settings: Settings) -> Path:
    """Where the plan stands; dbt's macro ``build_plan`` reads it."""
    return settings.cache / "build_plan.json"


def read_plan(settings: Settings) -> Plan:
    """The last plan.

    Raises:
        BadInputError: If there is none.
    """
    path = plan_file(settings)
    if not path.exists():
        raise BadInputError("no build was planned: run vitrine build --plan first")
    content = json.loads(path.read_text(encoding="utf-8"))
    day = date.fromisoformat
    return Plan(
        requested=tuple(map(day, content["requested"])),
        days=tuple(map(day, content["days"])),
        feature_from=day(content["feature_from"]),
        feature_until=day(content["feature_until"]),
        is_full=content["is_full"],
        plan_id=content["plan_id"],
        marks={day(marked): held for marked, held in content["marks"].items()},
    )
