"""One mutation on the ordinary path: who stops the day, or where its rows are set aside."""

import filecmp
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from domain.errors import DataQualityError, ReconciliationError, VitrineError
from quality.mutations.kinds import Answer, Mutation, Where
from quality.tables import resolve
from stack.mutate import planting
from stack.mutate.good_day import DAY
from stack.mutate.good_days import GoodDays
from stack.mutate.path import Day, shop_settings

_EXAMPLES: Final = ("retrieval_examples", "ranking_examples")


@dataclass(frozen=True)
class Outcome:
    """What came of one mutation.

    Attributes:
        is_caught: The right answer came, and the rule that is about it gave it.
        step: Where the day was stopped; empty if it went through.
        rules: Who spoke.
        said: The error's words, or what is not as it should be.
        left_out: The rule that was taken away, if one was.
    """

    name: str
    answer: str
    by: str
    is_caught: bool
    step: str = ""
    rules: tuple[str, ...] = ()
    said: str = ""
    seconds: float = 0.0
    left_out: str = ""

    @property
    def is_unseen(self) -> bool:
        """The day reached Feast (for a rule of examples: training) as if nothing were wrong."""
        is_about_examples = self.left_out.startswith(_EXAMPLES)
        return not self.step or (self.step == "check examples" and not is_about_examples)


def attempt(mutation: Mutation, good: GoodDays, scratch: Path, *, left_out: str = "") -> Outcome:
    """Plant one fault in a copy, run the ordinary path from there, and see who speaks.

    Args:
        mutation: The fault.
        good: What it is planted in a copy of.
        scratch: Where the copy is made, in place of the last one.
        left_out: A rule to take away: an expectation (``suite.measure``), or a dbt test.
    """
    began = time.monotonic()
    day = _copy(mutation, good, scratch, left_out)
    try:
        _go(mutation, good, day)
        outcome = _went_through(mutation, day, good)
    except VitrineError as error:
        outcome = _stopped(mutation, day, error)
    return replace(outcome, seconds=round(time.monotonic() - began, 2), left_out=left_out)


def _copy(mutation: Mutation, good: GoodDays, folder: Path, left_out: str) -> Day:
    """The shop just before the fault, and the dbt project that it is built with."""
    home, data, shop = folder / "home", folder / "data", mutation.shop
    planting.copy_home(good.before(mutation.where, shop), home)
    planting.copy_data(good.shops.data(shop), data)
    test = left_out if "." not in left_out else ""
    project = planting.dbt_project(
        folder / "dbt",
        model=mutation.table if mutation.where is Where.MODEL else "",
        sql=mutation.sql,
        without_test=test,
    )
    settings = shop_settings(shop, home, data, dbt_project=project)
    return Day(settings, left_out="" if test else left_out)


def _go(mutation: Mutation, good: GoodDays, day: Day) -> None:
    """What Airflow runs, from the fault on."""
    settings = day.settings
    if mutation.where is Where.NOWHERE:
        (table,) = resolve([mutation.table], settings)
        for folder in table.folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return day.check_history(mutation.table)
    if mutation.deliver:
        delivery = mutation.deliver(good.shops.delivery(mutation.shop))
        planting.deliver(delivery, settings.root.parent / "data", settings.event_log)
        day.land()
    if mutation.where is Where.LAKE:
        _change(mutation, planting.landed(settings.lake, mutation.shop, mutation.table, DAY))
        planting.agree(settings.lake, mutation.shop, mutation.table, DAY)
    if mutation.where in (Where.SOURCE, Where.LAKE):
        day.check("landed")
    if mutation.where is Where.MARTS:
        _change(mutation, planting.published(settings.marts, mutation.table, DAY))
    else:
        day.build()
    day.check("features")
    return day.check("examples")


def _change(mutation: Mutation, place: planting.Place) -> None:
    if mutation.change is None:
        raise ValueError(f"{mutation.name} does not say what it changes")
    planting.rewrite(place, mutation.change(pl.read_parquet(place.path)))


def _stopped(mutation: Mutation, day: Day, error: VitrineError) -> Outcome:
    rules = error.rules if isinstance(error, DataQualityError) else (type(error).__name__,)
    if isinstance(error, ReconciliationError):
        rules = ("reconciliation",)
    is_the_answer = mutation.error in ("", type(error).__name__)
    is_caught = mutation.answer is Answer.STOPPED and mutation.by in rules and is_the_answer
    said = f"{type(error).__name__}: {error}"
    return _outcome(mutation, is_caught, step=day.step, rules=rules, said=said)


def _went_through(mutation: Mutation, day: Day, good: GoodDays) -> Outcome:
    """Exactly the planted rows are accounted for, and every mart is the clean day's."""
    told, clean = day.details, good.told[mutation.shop]
    count = _COUNTS.get(mutation.answer, _nothing)
    if mutation.answer is Answer.STOPPED or "ingest" not in told:
        return _outcome(mutation, False, said="nobody noticed")
    planted = mutation.count or len(good.shops.delivery(mutation.shop).earlier["events"])
    found = count(told, mutation.by) - count(clean, mutation.by)
    expected = 0 if mutation.answer is Answer.AS_IT_WAS else planted
    faults = [f"{found} rows {mutation.answer}, expected {expected}"] if found != expected else []
    differing = _differing(day.settings.marts, good.built(mutation.shop) / "marts")
    if differing:
        faults.append(f"{len(differing)} files differ from the clean day's: {differing[0]}")
    rules = (mutation.by,) if found else ()
    return _outcome(mutation, not faults, rules=rules, said="; ".join(faults))


def _outcome(
    mutation: Mutation,
    is_caught: bool,
    *,
    step: str = "",
    rules: tuple[str, ...] = (),
    said: str = "",
) -> Outcome:
    return Outcome(mutation.name, mutation.answer.value, mutation.by, is_caught, step, rules, said)


Told = dict[str, dict[str, dict[str, int]]]


def _quarantined(told: Told, reason: str) -> int:
    return told["ingest"]["quarantined_by_reason"].get(reason, 0)


def _rejected(told: Told, reason: str) -> int:
    return told["build"]["rejected"].get(reason, 0)


def _duplicates(told: Told, _: str) -> int:
    return int(told["ingest"]["rows_duplicate"])


def _nothing(told: Told, _: str) -> int:
    return 0


_COUNTS: Final[dict[Answer, Callable[[Told, str], int]]] = {
    Answer.QUARANTINED: _quarantined,
    Answer.REJECTED: _rejected,
    Answer.COUNTED: _duplicates,
}


def _differing(marts: Path, clean: Path) -> list[str]:
    """Files that are not byte for byte the clean day's; what was refused may be more."""
    here, there = (_files(folder) for folder in (marts, clean))
    same = here & there
    changed = filecmp.cmpfiles(marts, clean, same, shallow=False)
    return sorted((here ^ there) | set(changed[1]) | set(changed[2]))


def _files(marts: Path) -> set[str]:
    files = (path.relative_to(marts) for path in marts.rglob("*.parquet"))
    return {str(file) for file in files if file.parts[0] != "rejected_events"}
