"""How a suite says what it expects: a bound on one measure of a day, and why.

A day is reduced to one row of measures (``quality.profile``), so that a bound means the same for
one day and for a history of 600, and names the days it refuses. Besides a suite's own measures
there are, computed from the days before:

* ``<measure>_to_usual``: over the median of the last ten days that had rows (at least five);
* ``<measure>_to_last``: over the last day that had rows;
* ``<measure>_change``: minus the median of the last ten days that had rows (for shares);
* ``row_count_surprise``: how unusual the day's volume is, in spreads of the shop's own days.

They are unknown, and not judged, where there are too few days to compare with.
"""

from collections.abc import Sequence

from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)
from great_expectations.expectations.core.expect_table_row_count_to_be_between import (
    ExpectTableRowCountToBeBetween,
)
from great_expectations.expectations.expectation import Expectation

ROW_COUNT = "row_count"
DERIVED = ("_to_usual", "_to_last", "_change", "_surprise")


def between(column: str, low: float | None, high: float | None, *, why: str) -> Expectation:
    """A day's measure is in [low, high]; None: unbounded. An unknown measure is not judged."""
    return ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, notes=why)


def filled_shares(columns: Sequence[str]) -> dict[str, str]:
    """Measures: the share of a day's rows in which each column is filled."""
    return {f"{name}_filled_share": f"avg(CAST({name} IS NOT NULL AS INT))" for name in columns}


def still_filled(columns: Sequence[str], *, since: str = "_to_usual") -> list[Expectation]:
    """Each column is filled at least a fifth as often as before: else it was renamed or lost.

    A column nobody requires goes missing in silence; every value of it is then simply null.
    """
    return [
        between(f"{name}_filled_share{since}", 0.2, None, why=f"{name} was lost, or renamed")
        for name in columns
    ]


def rows_are_there() -> list[Expectation]:
    """The two row-count expectations of every suite.

    Column expectations pass on an empty table, so the first asks that a day was looked at at all;
    the second that it has rows. A closed weekday's count, and that of a table which may be empty,
    is unknown (``quality.context``).
    """
    return [
        ExpectTableRowCountToBeBetween(min_value=1, notes="no day was looked at"),
        between(ROW_COUNT, 1, None, why="a day without rows is a day that did not arrive"),
    ]
