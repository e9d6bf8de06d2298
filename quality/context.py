"""What a day is compared with: the days before it.

How far a day may be from the usual is learned from the shop itself: a shop whose days are alike
notices a missing half, one with Sundays, sales and snow does not cry wolf. A day is compared with
the usual day and with the usual of its weekday, and what it is nearer to counts.

A closed day has no trading and so no rows: Online Retail's Saturdays. It is recognized by its own
past, the same weekday empty four weeks running, and not judged. Any other day without rows is
refused: a holiday is, and a person looks.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd

from quality.expect import DERIVED, ROW_COUNT
from quality.profile import days_before, landed_days, profile, row_counts
from quality.tables import Table

USUAL_DAYS: Final = 10
"""Days with rows that make the usual: two weeks of a shop that closes on Saturdays."""

USUAL_AT_LEAST: Final = 5
USUAL_WEEKS: Final = 8
USUAL_WEEKS_AT_LEAST: Final = 4
CLOSED_WEEKS: Final = 4
LOOK_BACK: Final = 30
"""Calendar days read to judge one day: ten trading days, across the longest real closure of 12."""

COUNTED_BACK: Final = 120
"""Calendar days whose rows are counted (no row is read): the weekdays and spreads of 100 days."""

SPREAD_DAYS: Final = 30
SPREAD_AT_FIRST: Final = 0.3
"""Spread (of logarithms) of a shop nobody knows yet, worth as much as five days of its own:
Online Retail's is 0.2 to 0.3, the simulated shop's 0.1."""

SPREAD_WORTH: Final = 5

JUDGED_AT_LEAST: Final = 20
"""Rows: a share that should be fewer of them is not judged, as chance alone moves it."""


def judged_day(table: Table, day: date) -> pd.DataFrame:
    """The one row of ``day``, with what it is compared with."""
    counts = row_counts(table, days_before(day, COUNTED_BACK))
    return _judgeable(table, profile(table, days_before(day, LOOK_BACK)), counts).loc[[day]]


def judged_history(table: Table) -> pd.DataFrame:
    """A row for each day of the table, oldest first."""
    measures = profile(table, landed_days(table))
    return _judgeable(table, measures, measures[ROW_COUNT])


def surprise(counts: pd.Series) -> pd.Series:
    """How unusual each day's count is, in spreads of the shop's own days; 0 is the usual.

    The logarithm of count over usual, divided by the spread of the same over the last 30 days.

    Args:
        counts: Rows of the days that have rows, by date, oldest first.
    """
    usual = counts.shift(1).rolling(USUAL_DAYS, min_periods=USUAL_AT_LEAST).median()
    distance = pd.Series(np.log(counts / usual), counts.index)
    weekday = pd.Series([day.weekday() for day in counts.index], counts.index)
    habit = distance.groupby(weekday).transform(
        lambda same: same.shift(1).rolling(USUAL_WEEKS, min_periods=USUAL_WEEKS_AT_LEAST).median()
    )
    from_weekday = distance - habit.fillna(0.0)
    nearer = distance.where(distance.abs() < from_weekday.abs(), from_weekday)
    return nearer / _spread(nearer)


def _spread(distances: pd.Series) -> pd.Series:
    """The spread up to the day before: a robust one, and for a young shop mostly the usual one."""
    last = distances.abs().shift(1).rolling(SPREAD_DAYS, min_periods=1)
    known, own = last.count().fillna(0.0), 1.4826 * last.median().fillna(0.0)
    variance = (SPREAD_WORTH * SPREAD_AT_FIRST**2 + known * own**2) / (SPREAD_WORTH + known)
    return variance**0.5


def _judgeable(table: Table, measures: pd.DataFrame, counts: pd.Series) -> pd.DataFrame:
    """Measures plus the derived ones that the suite asks for; unjudged counts are unknown."""
    with_rows = measures[measures[ROW_COUNT] > 0]
    judged = measures.copy()
    derived = _derived(table)
    for column in derived:
        judged[column] = _derive(column, with_rows, counts[counts > 0])
    empty = judged[ROW_COUNT] == 0
    if table.may_be_empty or (table.is_optional and not (counts > 0).any()):
        unjudged = empty
        # Few visitors are no usual: with one visitor a day, five are five times as many.
        if table.may_be_empty:
            judged[derived] = float("nan")
    else:
        unjudged = empty & pd.Series(
            [_is_closed(day, counts) for day in judged.index], judged.index
        )
    judged.loc[unjudged, ROW_COUNT] = float("nan")
    return judged


def _derived(table: Table) -> list[str]:
    columns = {getattr(expectation, "column", "") for expectation in table.expectations}
    return sorted(column for column in columns if column.endswith(DERIVED))


def _derive(column: str, with_rows: pd.DataFrame, counts: pd.Series) -> pd.Series:
    """The derived measure of each day that has rows."""
    kind = next(kind for kind in DERIVED if column.endswith(kind))
    if kind == "_surprise":
        return surprise(counts).reindex(with_rows.index)
    values = with_rows[column.removesuffix(kind)]
    usual = values.shift(1).rolling(USUAL_DAYS, min_periods=USUAL_AT_LEAST).median()
    if kind == "_change":
        return values - usual
    compared = values.shift(1) if kind == "_to_last" else usual
    if column.removesuffix(kind).endswith("_filled_share"):
        compared = compared.where(compared * with_rows[ROW_COUNT] >= JUDGED_AT_LEAST)
    return values / compared.where(compared > 0)


def _is_closed(day: date, counts: pd.Series) -> bool:
    """Whether this weekday had no rows four weeks running, in a shop that was open by then."""
    weeks = [day - timedelta(weeks=back) for back in range(1, CLOSED_WEEKS + 1)]
    open_since = counts.index[counts > 0].min()
    is_open = bool((counts.reindex(weeks).fillna(0) > 0).any())
    return not is_open and pd.notna(open_since) and open_since <= min(weeks)
