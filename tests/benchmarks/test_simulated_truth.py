"""The measure itself: the truth reaches itself, who knows nothing does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import simulated_truth
from benchmarks.simulated_truth import (
    Truth,
    _Exam,
    best_items,
    discounts,
    first_events,
    looks,
    worth,
)
from models.histories import user_batch_at


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.of("debug", seed=7)


@pytest.fixture(scope="module")
def exam(truth: Truth) -> _Exam:
    asked = sorted(truth.people())[:40]
    batch = user_batch_at(truth.examples, truth.catalog, until=truth.until, user_ids=asked)
    clicks_BV = truth.clicks_BV(asked)
    return _Exam(truth, clicks_BV, batch, clicks_BV, [batch] * len(simulated_truth.FIRST_EVENTS))


def test_the_oracle_reaches_all_of_itself_and_regrets_nothing(exam: _Exam):
    knows = SimpleNamespace(scores=lambda batch: exam.clicks_BV.astype(np.float32))
    found = exam.taken(knows, fit_s=0.0)
    assert found.share.mean == pytest.approx(1.0)
    assert found.regret == pytest.approx([0.0] * len(found.regret), abs=1e-9)


def test_who_knows_nothing_reaches_less_than_who_knows_some(exam: _Exam):
    rng = np.random.default_rng(1)
    noise = rng.random(exam.clicks_BV.shape)
    lost = []
    for share in (0.0, 0.5, 1.0):
        scores = ((1 - share) * noise + share * exam.clicks_BV / exam.clicks_BV.max()).astype("f4")
        found = exam.taken(SimpleNamespace(scores=lambda batch, s=scores: s), fit_s=0.0)
        lost.append(1 - found.share.mean)
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 0.4


def test_what_cannot_be_had_is_no_candidate(truth: Truth):
    scores_BV = np.zeros((2, len(truth.catalog)), np.float32)
    scores_BV[:, ~truth.is_offered_V] = 5.0
    scores_BV[0] = -np.inf
    assert truth.is_offered_V[best_items(scores_BV, truth.is_offered_V)].all()


def test_windows_are_worth_what_their_positions_are():
    clicks_BV = np.array([[0.0, 0.5, 0.25]])
    assert worth(clicks_BV, np.array([[1, 2]]), np.array([1.0, 0.5])) == pytest.approx([0.625])
    assert discounts()[:2] == pytest.approx([1.0, 0.6309], abs=1e-4)


def test_people_look_less_often_further_down(truth: Truth):
    assert (np.diff(looks(truth.shop)) < 0).all()


def test_the_first_events_of_each_user_are_its_oldest(truth: Truth):
    first = first_events(truth.examples, 2).to_pandas()
    every = truth.examples.to_pandas().sort_values(["user_id", "event_timestamp", "item_id"])
    expected = every.groupby("user_id").head(2)
    assert first["item_id"].tolist() == expected["item_id"].tolist()
    assert len(first_events(truth.examples, 0)) == 0


def test_the_examples_are_those_of_the_shop(truth: Truth):
    keys = truth.examples.select(["user_id", "item_id", "event_date"]).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys)
    assert set(truth.examples["weight"].to_pylist()) == {1.0, 3.0, 5.0}
