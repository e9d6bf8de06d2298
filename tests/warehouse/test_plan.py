from datetime import date

import pytest

from domain.errors import BadInputError
from warehouse.plan import make_plan, plan_all, plan_days, read_plan

FRIDAY, MONDAY, TUESDAY = date(2011, 1, 7), date(2011, 1, 10), date(2011, 1, 11)


def plan(*requested, dirty=(), built=()):
    return plan_days(requested, dirty=set(dirty), built=set(built))


def test_the_newest_day_is_built_with_the_closed_days_before_it_and_nothing_else():
    made = plan(MONDAY, built=[date(2011, 1, 3), FRIDAY])
    assert [day.day for day in made.days] == [8, 9, 10]
    assert made.feature_days == made.days


def test_a_late_day_replaces_the_features_of_every_later_built_day():
    made = plan(FRIDAY, built=[FRIDAY, MONDAY, TUESDAY])
    assert made.days == (FRIDAY,)
    assert (made.feature_from, made.feature_until) == (FRIDAY, TUESDAY)


def test_dirty_days_are_built_with_the_requested_one():
    made = plan(TUESDAY, dirty=[FRIDAY], built=[FRIDAY, MONDAY])
    assert made.days == (FRIDAY, TUESDAY)
    assert made.requested == (TUESDAY,)
    assert (made.feature_from, made.feature_until) == (FRIDAY, TUESDAY)


def test_nothing_asked_and_nothing_dirty_is_a_clear_error():
    with pytest.raises(BadInputError, match="nothing to build"):
        plan(built=[FRIDAY])


def test_a_full_plan_also_empties_days_that_are_no_longer_landed():
    made = plan_all(landed=[MONDAY], built={FRIDAY})
    assert made.days == (FRIDAY, MONDAY)
    assert made.is_full


def test_an_empty_lake_cannot_be_built():
    with pytest.raises(BadInputError, match="vitrine ingest first"):
        plan_all(landed=[], built=set())


def test_a_plan_is_written_and_its_days_stay_dirty_until_they_are_published(settings):
    made = make_plan(settings, [MONDAY], is_full=False)
    assert read_plan(settings) == made
    assert [mark.name for mark in (settings.lake / "dirty").iterdir()] == ["2011-01-10"]
