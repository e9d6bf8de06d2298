import itertools
from datetime import date, timedelta

import pytest

from domain.errors import CannotJudgeError
from models.ranking.windows import WindowConfig, plan_windows

UNTIL = date(2011, 11, 1)


def test_a_long_history_gets_every_window_it_asked_for():
    plan = plan_windows(first_day=date(2009, 12, 1), until=UNTIL, config=WindowConfig(14, 4))
    starts = [window.start for window in plan.train]
    assert starts == [date(2011, 8, 23), date(2011, 9, 6), date(2011, 9, 20), date(2011, 10, 4)]
    assert (plan.validation.start, plan.validation.end) == (date(2011, 10, 18), UNTIL)
    assert plan.first_snapshot == date(2011, 8, 23)


@pytest.mark.parametrize("total", [6, 7, 14, 40, 60, 365])
def test_windows_follow_one_another_and_leave_half_the_days(total):
    first = UNTIL - timedelta(days=total)
    plan = plan_windows(first_day=first, until=UNTIL, config=WindowConfig(14, 4))
    windows = [*plan.train, plan.validation]
    assert windows[-1].end == UNTIL
    assert all(a.end == b.start for a, b in itertools.pairwise(windows))
    assert len({(window.end - window.start).days for window in windows}) == 1
    assert (plan.first_snapshot - first).days >= total // 2


def test_too_few_days_are_refused_by_name():
    with pytest.raises(CannotJudgeError, match="5 days"):
        plan_windows(first_day=UNTIL - timedelta(days=5), until=UNTIL, config=WindowConfig())
