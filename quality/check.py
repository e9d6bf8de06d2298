"""Judge a day, or a whole history, before it moves on: raise, and say what broke where."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Final

from domain import accepted_days
from domain.clock import read_last_date
from domain.errors import (
    BadInputError,
    DataQualityError,
    EmptyDayError,
    MissingFeedError,
    PartialFeedError,
)
from domain.progress import silent
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings
from quality.context import judged_day, judged_history
from quality.expect import ROW_COUNT
from quality.profile import landed_days
from quality.store import Break, Expectations
from quality.tables import Table, resolve

logger = logging.getLogger(__name__)

Report = Callable[..., None]
"""``domain.progress.Progress`` or ``silent``."""

TOO_LITTLE: Final = frozenset(
    {
        "row_count_surprise",
        "row_count_to_usual",
        "row_count_to_last",
        "user_count_to_usual",
        "lines_per_invoice_to_usual",
        "last_hour_change",
    }
)
"""Measures that are low when a part of a feed is all that came."""

ODD_SHARE: Final = 0.01
"""A history passes if at most this share of its days is odd: the shop lived through them, and they
are listed. One day by itself is let through only if somebody accepted it, and said why."""


def check_day(
    names: Sequence[str], day: date | None, settings: Settings, *, progress: Report = silent
) -> Receipt:
    """Judge one day of the tables.

    Args:
        names: Tables and groups.
        day: The day; None: the last landed one.
        settings: Whose lake and marts.
        progress: Called once a table.

    Raises:
        MissingFeedError: If nothing of the day is there. (This and the next three not for a day
            that was accepted, ``domain.accepted_days``: its breaks are in the receipt.)
        EmptyDayError: If the day is there without rows.
        PartialFeedError: If all that is wrong with it is that too little of it is there.
        DataQualityError: Naming table, day, expectation, column, expected and got of every break.
        BadInputError: If a name is no table, a file cannot be read, or nothing landed yet.
    """
    asked = day or read_last_date(settings.lake)
    tables = resolve(names, settings)
    if asked is None:
        raise BadInputError(f"nothing has landed in {settings.lake}: say which --day to check")
    return judge_day(tables, asked, settings, key="+".join(names), progress=progress)


def judge_day(
    tables: Sequence[Table], asked: date, settings: Settings, *, key: str, progress: Report = silent
) -> Receipt:
    """``check_day`` for tables that are known. ``key`` names them in the receipt."""
    watch = Stopwatch()
    expectations = Expectations(settings.quality)
    breaks: list[Break] = []
    rows: dict[str, int] = {}
    for table in tables:
        if _stands_as_it_was(table, asked):
            logger.info("%s has no snapshot of %s: the last one stands", table.name, asked)
            continue
        judged = judged_day(table, asked)
        rows[table.name] = int(judged[ROW_COUNT].sum())
        broken = expectations.validate(table, judged, run=asked.isoformat())
        progress(table.name, _told(rows[table.name], 1, len(broken)))
        breaks += broken
    docs = str(expectations.draw())
    why = accepted_days.read(settings.lake).get(asked)
    if why is None:
        _refuse(breaks, docs, kind=_kind(tables, asked, breaks))
    odd = {f"accepted: {why}": [str(one) for one in breaks]} if breaks else {}
    for one in breaks:
        logger.warning("%s; accepted: %s", one, why)
    return _receipt(f"{key}-{asked}", rows, docs, watch, odd=odd)


def check_history(
    names: Sequence[str], settings: Settings, *, progress: Report = silent
) -> Receipt:
    """Judge every day of the tables, in one pass over each; a few odd days are listed, not refused.

    Raises:
        DataQualityError: If more than ``ODD_SHARE`` of a table's days break one expectation.
        BadInputError: If a name is no table or a file cannot be read.
    """
    return judge_history(resolve(names, settings), settings, key="+".join(names), progress=progress)


def judge_history(
    tables: Sequence[Table], settings: Settings, *, key: str, progress: Report = silent
) -> Receipt:
    """``check_history`` for tables that are known."""
    watch = Stopwatch()
    expectations = Expectations(settings.quality)
    breaks: list[Break] = []
    odd: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for table in tables:
        judged = judged_history(table)
        rows[table.name] = int(judged[ROW_COUNT].sum())
        broken = expectations.validate(table, judged, run="all", mostly=1 - ODD_SHARE)
        progress(table.name, _told(rows[table.name], len(judged), len(broken)))
        odd |= {table.name: [str(one) for one in broken]} if broken else {}
        breaks += [one for one in broken if len(one.days) > ODD_SHARE * len(judged) or not one.days]
    docs = str(expectations.draw())
    _refuse(breaks, docs)
    return _receipt(f"{key}-all", rows, docs, watch, odd=odd)


def _stands_as_it_was(table: Table, day: date) -> bool:
    """Whether the table is a snapshot that did not change that day."""
    days = landed_days(table) if table.is_snapshot else []
    return day not in days and any(earlier < day for earlier in days)


def _kind(
    tables: Sequence[Table], day: date, breaks: Sequence[Break]
) -> tuple[type[DataQualityError], str]:
    """Which answer it is: a missing feed, an empty day, a part of one, or bad data."""
    landed = {table.name for table in tables if table.is_landed}
    empty = {one.table for one in breaks if one.column == ROW_COUNT} & landed
    absent = {t.name for t in tables if t.name in empty and day not in landed_days(t)}
    if absent:
        return MissingFeedError, f"missing feed: nothing of {day} is there of {_named(absent)}: "
    if empty:
        return EmptyDayError, f"empty day: {day} is there without a row of {_named(empty)}: "
    if breaks and all(
        one.is_low and one.column in TOO_LITTLE and one.table in landed for one in breaks
    ):
        return PartialFeedError, f"partial feed: {day} is there, but not all of it: "
    return DataQualityError, ""


def _named(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _refuse(
    breaks: Sequence[Break],
    docs: str,
    *,
    kind: tuple[type[DataQualityError], str] = (DataQualityError, ""),
) -> None:
    if breaks:
        error, answer = kind
        sentences = "; ".join(str(one) for one in breaks)
        raise error(
            f"{answer}{sentences}. Nothing moves on; see {docs}",
            rules=[one.rule for one in breaks],
        )


def _receipt(
    key: str,
    rows: dict[str, int],
    docs: str,
    watch: Stopwatch,
    *,
    odd: dict[str, list[str]] | None = None,
) -> Receipt:
    total = sum(rows.values())
    return Receipt(
        command="check",
        key=key,
        rows_in=total,
        rows_out=total,
        seconds=watch.seconds,
        artifacts=(docs,),
        details={"rows": rows, "odd_days": odd or {}},
    )


def _told(rows: int, days: int, breaks: int) -> str:
    verdict = f"{breaks} expectations broken" if breaks else "as expected"
    return f"{rows:,} rows of {days:,} days: {verdict}"
