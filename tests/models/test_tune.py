"""A search for settings: its budget, its trials, and that a stop in between does not show."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import optuna
import pytest

from domain.errors import BadInputError, CannotJudgeError
from domain.progress import silent
from models.alone import train_alone
from models.data import TrainingData
from models.loop import DivergedError
from models.retrieval.config import (
    PRESETS,
    EaseConfig,
    LoopConfig,
    NextItemConfig,
    PopularityConfig,
    SequenceConfig,
)
from models.retrieval.spaces import SPACES, Choice, Range
from models.tune import Budget, NothingFinishedError, tune
from models.tune_job import Job, validated_since

EASE = EaseConfig(regularization=2_000.0, power=8.0)
"""Not the best there is, so that a search has something to find."""
SHORT = LoopConfig(epochs=3, learning_rate=5e-3, warmup_steps=2, patience=0)
NETWORKS = {
    "next_item": NextItemConfig(width=16, negatives=16, batch_targets=128, loop=SHORT),
    "sequence": SequenceConfig(width=16, heads=1, batch_rows=32, validation_days=7, loop=SHORT),
}


def job_of(planted, name="ease", config=EASE, **changes):
    since = validated_since(planted.until)
    before = planted.before(since)
    given = {
        "data": TrainingData(since, before, before.slice(0, 0), planted.items),
        "seen": planted.examples,
        "until": planted.until,
        "config": config,
        "text_VE": np.eye(len(planted.catalog), 8, dtype=np.float32),
        **changes,
    }
    return Job.of(name, given.pop("data"), **given)


@pytest.fixture
def job(planted):
    return job_of(planted)


def searched(job, folder, trials=None, seconds=None, **more):
    return tune(job, folder=folder, budget=Budget(trials, seconds), threads=1, **more)


def made(tuned):
    """What finished, in order: settings, and what came of them."""
    return [(one.settings, one.score) for one in tuned.trials if one.state != "failed"]


class Ticking:
    """A clock on which a second passes whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


class Cut(BaseException):
    """What no search catches: the process is gone."""


def cut_after(trials, job):
    """The same job, whose process is gone in the middle of a later trial."""

    class Cutting(Job):
        count = 0

        def score(self, config, **given):
            Cutting.count += 1
            if Cutting.count > trials:
                raise Cut
            return super().score(config, **given)

    return Cutting(**vars(job))


@pytest.fixture(scope="module")
def whole(planted, tmp_path_factory):
    """A search of one go."""
    return searched(job_of(planted), tmp_path_factory.mktemp("whole"), trials=13)


def test_the_first_trial_is_the_preset_and_the_best_is_better(whole):
    first = {"power": 8.0, "regularization": 2_000.0, "seen_weight": 0.05}
    assert whole.trials[0].settings == whole.first.settings == first
    assert whole.best.score == max(one.score for one in whole.trials)
    assert whole.best.score > 1.2 * whole.first.score
    assert replace(whole.config, **first) == EASE
    assert whole.stopped == "trials"


def test_no_settings_are_tried_twice(whole):
    assert len({tuple(one.settings.values()) for one in whole.trials}) == 13


@pytest.mark.parametrize("cuts", [(0,), (1, 6, 2)], ids=["at once", "thrice"])
def test_a_search_that_was_cut_off_makes_the_trials_of_one_that_was_not(
    planted, whole, tmp_path, cuts
):
    for trials in cuts:
        with pytest.raises(Cut):
            searched(cut_after(trials, job_of(planted)), tmp_path, trials=13)
    resumed = searched(job_of(planted), tmp_path, trials=13)
    assert made(resumed) == made(whole)
    failed = [one for one in resumed.trials if one.state == "failed"]
    assert [one.reason for one in failed] == ["it was cut off"] * len(cuts)
    # Each of them was tried again, with the same settings.
    assert all(one.settings in [settings for settings, _ in made(whole)] for one in failed)


def test_a_finished_search_given_again_fits_nothing(planted, tmp_path):
    first = searched(job_of(planted), tmp_path, trials=3)
    told = []
    again = searched(cut_after(0, job_of(planted)), tmp_path, trials=3, record=told.append)
    assert again == first
    assert told == list(first.trials)
    more = searched(cut_after(1, job_of(planted)), tmp_path, trials=4)
    assert made(more)[:3] == made(first)


def test_another_seed_draws_other_settings_but_begins_with_the_preset(job, whole, tmp_path):
    other = searched(job, tmp_path, trials=3, seed=8)
    assert made(other)[0] == made(whole)[0]
    assert not {tuple(one.settings.values()) for one in other.trials[1:]} & {
        tuple(one.settings.values()) for one in whole.trials
    }


def test_seconds_are_respected_over_calls_and_no_trial_begins_that_would_not_end(job, tmp_path):
    first = searched(job, tmp_path, seconds=20.0, clock=Ticking())
    # Each look at the clock takes a second; a trial looks twice, and a few times around it.
    assert first.stopped == "seconds"
    assert 2 <= len(first.trials) <= 6
    assert {one.seconds for one in first.trials} == {1.0}
    assert searched(job, tmp_path, seconds=20.0, clock=Ticking()).trials == first.trials
    assert len(searched(job, tmp_path, seconds=40.0, clock=Ticking()).trials) > len(first.trials)


def test_whichever_budget_is_over_first_ends_it(job, tmp_path):
    assert searched(job, tmp_path, trials=2, seconds=1e6).stopped == "trials"
    assert searched(job, tmp_path, trials=100, seconds=1e-3).stopped == "seconds"


def test_a_budget_too_small_for_one_trial_is_refused(planted, tmp_path):
    network = job_of(planted, "next_item", NETWORKS["next_item"])
    with pytest.raises(NothingFinishedError, match="next_item: no trial was done within 4 s"):
        searched(network, tmp_path, seconds=4.0, clock=Ticking())
    # What was cut off there is tried again.
    assert [one.state for one in searched(network, tmp_path, trials=1).trials] == [
        "failed",
        "finished",
    ]


def test_it_tells_trial_best_and_time_left(job, tmp_path):
    told = []
    searched(
        job, tmp_path, trials=2, progress=lambda *words, **numbers: told.append((words, numbers))
    )
    (stage, message), numbers = told[-1]
    assert stage == "tune"
    assert message.startswith("trial 1 finished: 0.")
    assert "; best 0." in message
    assert message.endswith("about 0 s left")
    assert numbers == {"done": 2, "total": 2}


def test_it_ends_where_nothing_is_left_to_try(planted, tmp_path, monkeypatch):
    monkeypatch.setattr("models.tune.SAME_DRAWS", 8)
    only = {**SPACES, PopularityConfig: {"window_days": Choice((7, 30, 10_000))}}
    monkeypatch.setattr("models.retrieval.spaces.SPACES", only)
    tuned = searched(job_of(planted, "popularity", PopularityConfig()), tmp_path, trials=50)
    assert tuned.stopped == "exhausted"
    assert tuned.trials[0].settings == {"window_days": 7}
    assert {one.settings["window_days"] for one in tuned.trials} == {7, 30, 10_000}
    assert len(tuned.trials) == 3


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_is_watched_is_the_one_that_is_not(planted, name):
    job, seen = job_of(planted, name, NETWORKS[name]), []
    score = job.score(
        job.config,
        watch=lambda scores: seen.append(job.validation.score(scores)),
        progress=silent,
    )
    assert score == job.score(job.config, watch=None, progress=silent)
    assert len(seen) == SHORT.epochs
    # What is kept is the last epoch, or one that the network's own validation preferred.
    assert score in (seen[-1:] if name == "next_item" else seen)


def test_a_network_far_behind_is_given_up_and_never_the_best(planted, tmp_path, monkeypatch):
    config = NETWORKS["next_item"]
    rates = {"loop.learning_rate": Range(1e-7, 2e-2, is_log=True)}
    monkeypatch.setattr("models.retrieval.spaces.SPACES", {NextItemConfig: rates})
    tuned = searched(job_of(planted, "next_item", config), tmp_path, trials=12)
    pruned = [one for one in tuned.trials if one.state == "pruned"]
    assert pruned
    assert all(len(one.curve) < SHORT.epochs for one in pruned)
    assert all(one.state == "finished" for one in tuned.trials[:5])
    assert tuned.best.state == "finished"
    assert len(tuned.best.curve) == SHORT.epochs


def test_settings_that_cannot_be_trained_are_worth_nothing(planted, tmp_path, monkeypatch):
    rates = {"loop.learning_rate": Choice((5e-3, 1e30))}
    monkeypatch.setattr("models.retrieval.spaces.SPACES", {NextItemConfig: rates})
    config = NETWORKS["next_item"]
    tuned = searched(job_of(planted, "next_item", config), tmp_path, trials=2)
    assert tuned.trials[1].score == 0.0
    assert "DivergedError" in tuned.trials[1].reason
    assert tuned.best.number == 0
    broken = replace(config, loop=replace(SHORT, learning_rate=1e30))
    with pytest.raises(DivergedError):  # If the preset is, something else is wrong.
        searched(job_of(planted, "next_item", broken), tmp_path / "broken", trials=2)


def test_the_best_comes_out_again_when_it_is_trained_alone(planted, job, whole, tmp_path):
    alone = train_alone(
        "ease",
        job.data,
        later=planted.examples,
        judged_until=planted.until,
        preset=replace(PRESETS["base"], ease=whole.config),
        folder=tmp_path / "ease",
        text_VE=job.text_VE,
        progress=silent,
    )
    means = [alone.tasks[task]["metrics"]["ndcg_at_10"]["mean"] for task in ("any", "new")]
    assert np.sqrt(np.prod(means)) == pytest.approx(whole.best.score, abs=1e-5)


def test_what_comes_after_the_cutoff_is_never_looked_at(planted):
    until = planted.until - timedelta(days=6)
    since = validated_since(until)
    data = TrainingData(since, planted.before(since), planted.examples.slice(0, 0), planted.items)
    with_later = job_of(planted, until=until, data=data)
    without = job_of(planted, until=until, data=data, seen=planted.before(until))
    assert with_later.key(seed=7) == without.key(seed=7)
    given = {"watch": None, "progress": silent}
    assert with_later.score(EASE, **given) == without.score(EASE, **given)


def test_a_searchs_key_is_of_all_that_decides_its_trials(planted, job):
    key = job.key(seed=7)
    assert key == job_of(planted).key(seed=7)
    assert key != job.key(seed=8)
    assert key != job_of(planted, config=replace(EASE, kept=200)).key(seed=7)
    assert key != job_of(planted, text_VE=job.text_VE + 1).key(seed=7)


@pytest.mark.parametrize(
    ("trials", "seconds", "said"),
    [
        (None, None, "needs a budget"),
        (0, None, "--trials: expected at least 1, got 0"),
        (None, 0.0, "--budget-s: expected seconds above 0, got 0.0"),
        (5, float("nan"), "got nan"),
    ],
)
def test_no_budget_is_bad_input(trials, seconds, said):
    with pytest.raises(BadInputError, match=said):
        Budget(trials, seconds)


def test_what_cannot_be_searched_is_refused(planted):
    with pytest.raises(BadInputError, match="no model 'gru4rec'"):
        job_of(planted, "gru4rec")
    with pytest.raises(BadInputError, match="expected data before 2026-02-14"):
        job_of(planted, until=planted.until - timedelta(days=2))
    with pytest.raises(CannotJudgeError, match="0 purchases"):
        job_of(planted, seen=planted.before(validated_since(planted.until)))


def test_optuna_keeps_its_own_words_to_itself(job, tmp_path, capsys):
    searched(job, tmp_path, trials=1)
    assert capsys.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
