from datetime import timedelta

import pyarrow.compute as pc
import pytest

from domain.errors import CannotJudgeError
from models.splits import split_by_time


def test_the_cutoff_is_the_first_judged_day_and_until_the_first_that_is_not(planted):
    split = split_by_time(planted.examples, cutoff=planted.cutoff, until=planted.until)
    assert pc.max(split.train["event_date"]).as_py() < planted.cutoff
    assert pc.min(split.test["event_date"]).as_py() == planted.cutoff
    assert pc.max(split.test["event_date"]).as_py() < planted.until
    assert len(split.train) + len(split.test) == len(planted.examples)


def test_only_purchases_are_judged(planted):
    clicks = planted.examples.set_column(
        5, "is_purchase", pc.less(planted.examples["event_date"], planted.cutoff)
    )
    with pytest.raises(CannotJudgeError, match="0 purchases"):
        split_by_time(clicks, cutoff=planted.cutoff, until=planted.until)


def test_a_tiny_window_is_refused(planted):
    with pytest.raises(CannotJudgeError, match="at least 50"):
        split_by_time(
            planted.examples,
            cutoff=planted.until - timedelta(days=1),
            until=planted.until,
        )


def test_nothing_before_the_cutoff_is_refused(planted):
    first = pc.min(planted.examples["event_date"]).as_py()
    with pytest.raises(CannotJudgeError, match="nothing to train on"):
        split_by_time(planted.examples, cutoff=first, until=planted.until)


def test_an_empty_window_is_the_callers_mistake(planted):
    with pytest.raises(ValueError, match="is empty"):
        split_by_time(planted.examples, cutoff=planted.cutoff, until=planted.cutoff)
