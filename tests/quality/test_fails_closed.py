"""Law L8: whatever keeps a check from judging is a refusal, never a pass."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from domain.errors import BadInputError, DataQualityError
from domain.settings import Settings
from quality import store
from quality.check import check_day, check_history
from quality.context import judged_day
from quality.expect import between
from quality.store import Expectations
from tests.quality.conftest import DAY, good_day, write_day


class Suite:
    """A table of the shop, judged by expectations of the test's own."""

    def __init__(self, table, *expectations):
        self._table, self.expectations, self.name = table, expectations, table.name
        self.why, self.suite = "a suite of a test", "test"


def judge(table, *expectations, home):
    days = judged_day(table, DAY)
    return Expectations(home / "quality").validate(Suite(table, *expectations), days, run="day")


def test_a_table_without_a_suite_is_refused(table_of):
    table = replace(table_of("events"), suite="nobody_wrote_it")
    with pytest.raises(DataQualityError, match=r"no suite quality/suites/nobody_wrote_it\.py"):
        judged_day(table, DAY)


def test_a_suite_without_expectations_is_refused(table_of, home):
    with pytest.raises(DataQualityError, match="0 expectations"):
        judge(table_of("events"), home=home)


def test_an_expectation_that_was_not_judged_is_refused():
    result = SimpleNamespace(results=[object()])
    with pytest.raises(DataQualityError, match="2 expectations, 1 of them judged"):
        store._require_judged("simulated.events", asked=2, result=result)


def test_an_exception_inside_a_check_is_a_break(table_of, home):
    found = judge(table_of("events"), between("no_such_measure", 0, 1, why="a slip"), home=home)
    assert [one.column for one in found] == ["no_such_measure"]


def test_great_expectations_that_cannot_keep_its_results_is_an_error(table_of, home):
    table_of("events")
    (home / "quality").mkdir(parents=True)
    (home / "quality" / "validations").write_text("a file where a folder belongs")
    with pytest.raises((OSError, DataQualityError)):
        check_day(["simulated.events"], DAY, Settings())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 400 + b"PAR1"])
def test_a_file_that_cannot_be_read_is_refused(table_of, content):
    table = table_of("events")
    write_day(table, DAY, good_day("events", DAY))
    (table.folder / f"event_date={DAY}" / "part.parquet").write_bytes(content)
    for check in (lambda: check_day(["simulated.events"], DAY, Settings()), _whole):
        with pytest.raises(BadInputError, match=r"simulated\.events cannot be read"):
            check()


def _whole():
    check_history(["simulated.events"], Settings())


def test_a_day_without_rows_and_a_table_without_days_are_refused(table_of):
    table = table_of("events")
    write_day(table, DAY, [])
    with pytest.raises(DataQualityError):
        check_day(["simulated.events"], DAY, Settings())
    with pytest.raises(DataQualityError):
        check_history(["user_features"], Settings())


def test_the_good_day_that_all_of_this_begins_with_passes(table_of):
    table = table_of("events")
    write_day(table, DAY, good_day("events", DAY))
    assert check_day(["simulated.events"], DAY, Settings()).rows_in > 0
