"""What a day is compared with: the days before it.

A closed day has no trading and so no rows: Online Retail's Saturdays. It is recognized by its own
past, the same weekday empty four weeks running, and not judged. Any other day without rows is
refused: a holiday is, and a person looks.
"""

from datetime import date, timedelta
from typing import Final

import pandas as pd

from quality.expect import DERIVED, ROW_COUNT
from quality.profile import days_before, landed_days, profile
from quality.tables import Table

USUAL_DAYS: Final = 10
"""Days with rows that make the usual: two weeks of a shop that closes on Saturdays."""

USUAL_AT_LEAST: Final = 5
CLOSED_WEEKS: Final = 4
LOOK_BACK: Final = 60
"""Calendar days read to judge one day: ten trading days, across the longest real closure of 12."""


def judged_day(table: Table, day: date) -> pd.DataFrame:
    """The one row of ``day``, with what it is compared with."""
    return _judgeable(table, profile(table, days_before(day, LOOK_BACK))).loc[[day]]


def judged_history(table: Table) -> pd.DataFrame:
    """A row for each day of the table, oldest first."""
    return _judgeable(table, profile(table, landed_days(table)))


def _judgeable(table: Table, measures: pd.DataFrame) -> pd.DataFrame:
    """Measures plus the derived ones that the suite asks for; unjudged counts are unknown."""
    with_rows = measures[measures[ROW_COUNT] > 0]
    judged = measures.copy()
    for column in _derived(table):
        judged[column] = _derive(column, with_rows)
    if table.may_be_empty:
        unjudged = judged[ROW_COUNT] == 0
        # Few visitors are no usual: with one visitor a day, five are five times as many.
        judged[_derived(table)] = float("nan")
    else:
        empty = judged[ROW_COUNT] == 0
        closed = pd.Series([_is_closed(day, measures) for day in judged.index], judged.index)
        unjudged = empty & closed
    judged.loc[unjudged, ROW_COUNT] = float("nan")
    return judged


def _derived(table: Table) -> list[str]:
    columns = {getattr(expectation, "column", "") for expectation in table.expectations}
    return sorted(column for column in columns if column.endswith(DERIVED))


def _derive(column: str, with_rows: pd.DataFrame) -> pd.Series:
    """The derived measure of each day that has rows."""
    kind = next(kind for kind in DERIVED if column.endswith(kind))
    values = with_rows[column.removesuffix(kind)]
    usual = values.shift(1).rolling(USUAL_DAYS, min_periods=USUAL_AT_LEAST).median()
    if kind == "_change":
        return values - usual
    compared = values.shift(1) if kind == "_to_last" else usual
    return values / compared.where(compared > 0)


def _is_closed(day: date, measures: pd.DataFrame) -> bool:
    """Whether this weekday had no rows four weeks running, in a shop that was open by then."""
    weeks = [day - timedelta(weeks=back) for back in range(1, CLOSED_WEEKS + 1)]
    counts = measures[ROW_COUNT].reindex(weeks).fillna(0)
    open_since = measures.index[measures[ROW_COUNT] > 0].min()
    return bool((counts == 0).all()) and pd.notna(open_since) and open_since <= min(weeks)
