"""A few faults on the real path, a few rules taken away. All: ``vitrine check --mutate all``."""

import json

import pytest

from quality.mutations.registry import MUTATIONS
from stack.mutate.attempt import attempt
from stack.mutate.good_days import prepare

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Both clean shops, landed and built: this itself is the control run."""
    return prepare(tmp_path_factory.mktemp("good"))


@pytest.fixture
def tried(good):
    def tried(name, left_out=""):
        return attempt(MUTATIONS[name], good, good.root / "copy", left_out=left_out)

    return tried


@pytest.mark.parametrize(
    ("name", "step", "error"),
    [
        ("empty_day", "check landed", "EmptyDayError: empty day: 2026-02-18"),
        ("missing_feed", "check landed", "MissingFeedError: missing feed: nothing of 2026-02-18"),
        ("sixty_percent_missing", "check landed", "PartialFeedError: partial feed: 2026-02-18"),
        ("file_cut", "ingest", "BadInputError"),
        ("user_features_spend_cents_90d_max", "check features", "DataQualityError"),
        ("user_features_windows_grow", "build", "DataQualityError"),
        ("items_row_count", "check landed", "EmptyDayError: empty day: 2026-02-18"),
        ("judged_events_accepted_share_to_usual", "check features", "DataQualityError"),
    ],
)
def test_a_fault_of_the_whole_day_stops_it(tried, name, step, error):
    outcome = tried(name)
    assert (outcome.is_caught, outcome.step) == (True, step), outcome.said
    assert outcome.said.startswith(error)


def test_a_fault_of_some_rows_sets_them_aside_and_the_marts_are_the_clean_days(tried):
    outcome = tried("card_number_in_a_query")
    assert (outcome.is_caught, outcome.step, outcome.said) == (True, "", "")


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("user_features.spend_cents_90d_max", "user_features_spend_cents_90d_max"),
        ("int_item_activity_grain", "int_item_activity_grain"),
    ],
)
def test_without_its_rule_a_fault_passes_unseen(tried, rule, name):
    outcome = tried(name, left_out=rule)
    assert outcome.is_unseen
    assert not outcome.is_caught


def test_an_outcome_is_data(tried):
    told = tried("user_features_row_count")
    assert json.loads(json.dumps(told.rules)) == ["user_features.row_count"]
