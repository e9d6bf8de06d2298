from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.sets import read_set
from models.trials import Likely, Mixed, Trial


class Knows:
    """Scores of an item each: the same for everybody."""

    def __init__(self, scores_V):
        self.scores_V = np.asarray(scores_V, dtype=np.float32)
        self.asked = set()

    def scores(self, batch):
        self.asked.add(batch.now.date())
        return np.tile(self.scores_V, (len(batch), 1))


@pytest.fixture
def trial(tmp_path):
    """60 users with four items each; the last is item 3, but item 9, in no history, for ten."""
    rows = [
        (user, at, item)
        for user in range(60)
        for at, item in enumerate([user % 3, (user + 1) % 3, 4 + user % 2, 9 if user < 10 else 3])
    ]
    # What is asked about must have been taken before, by others.
    rows += [(60 + user, at, item) for user in range(5) for at, item in enumerate([4, 5, 3, 0, 1])]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    names = ["user_id", "position", "item_id"]
    pq.write_table(pa.table(columns, names=names), tmp_path / "interactions.parquet")
    pq.write_table(pa.table({"item_id": list(range(10))}), tmp_path / "items.parquet")
    return Trial(read_set(tmp_path))


def scores(**of):
    """A score for each item named i<id>, 0 for the others; padding and unknown first."""
    return Knows([-np.inf, -np.inf, *(of.get(f"i{item}", 0.0) for item in range(10))])


def test_an_item_that_training_never_saw_is_a_miss_for_its_user(trial):
    taken = trial.test.take(scores(i9=2.0, i3=1.0).scores)
    assert trial.test.user_count == 65
    assert len(taken["ndcg_at_10"]) == 65
    # 50 users of item 3, and the five others.
    assert taken["recall_at_10"].sum() == 55


def test_what_a_user_had_is_no_candidate(trial):
    """Items 0 to 2 score best, and each user of item 3 has had two of them."""
    taken = trial.test.take(scores(i0=9.0, i1=8.0, i2=7.0, i3=1.0).scores)
    assert np.median(taken["ndcg_at_10"]) == pytest.approx(1 / np.log2(3))


def test_after_a_look_only_the_best_is_fitted_whole(trial):
    made = []

    def fits_of(word, **of):
        def fit(examples, until, validate):
            made.append(word)
            return of[word]

        return fit

    best, other = scores(i4=2.0, i5=2.0), scores(i9=1.0)
    looks = {
        name: fits_of(f"{name} look", **{f"{name} look": one})
        for name, one in {"best": best, "other": other}.items()
    }
    whole = scores(i4=1.0, i5=1.0)
    fits = {name: fits_of(name, best=whole, other=other) for name in looks}
    result, chosen = trial.choose("model", fits, looks=looks)
    assert made == ["best look", "other look", "best"]
    assert (result.settings, result.tried) == ("best", 2)
    assert chosen is whole
    assert best.asked == {trial.published.validation_day}  # A look never sees the test.


def test_settings_are_chosen_on_validation_and_only_the_chosen_see_the_test(trial):
    made = {"bad": scores(i9=1.0), "good": scores(i4=2.0, i5=2.0), "none": scores()}

    def fit_of(scorer):
        def fit(examples, until, validate):
            assert max(examples.column("event_date").to_pylist()) < until
            assert 0.0 <= validate(scorer.scores) <= 1.0
            return scorer

        return fit

    result, chosen = trial.choose("model", {name: fit_of(one) for name, one in made.items()})
    assert (result.settings, result.tried) == ("good", 3)
    assert chosen is made["good"]
    assert {name: one.asked for name, one in made.items()} == {
        "bad": {trial.published.validation_day},
        "good": {trial.published.validation_day, trial.published.test_day},
        "none": {trial.published.validation_day},
    }
    assert trial.until == trial.published.test_day - timedelta(days=1)


def test_a_mix_weighs_each_model_by_its_largest_score_and_no_opinion_is_nothing(trial):
    loud, soft = scores(i3=1000.0, i4=500.0), scores(i4=0.001)
    soft.scores_V[2] = -np.inf
    mixed = Mixed([(loud, 1.0), (soft, 0.25)]).scores(trial.test.batch)
    assert np.allclose(mixed[0, [2, 5, 6]], [0.0, 1.0, 0.75])
    assert np.isfinite(mixed).all()


def test_likelihoods_are_shares_of_the_most_likely_and_no_opinion_is_none(trial):
    logits = scores(i3=3.0, i4=1.0)
    logits.scores_V[7:] = -np.inf
    likely = Likely(logits, temperature=2.0).scores(trial.test.batch)[0]
    assert likely[5] == 1.0
    assert likely[6] == pytest.approx(np.exp(-1.0))
    assert likely[2] == pytest.approx(np.exp(-1.5))
    assert (likely[7:] == 0.0).all()
    silent = Knows([-np.inf] * 12)
    assert (Likely(silent).scores(trial.test.batch) == 0.0).all()


def test_other_seeds_stand_beside_the_first(trial):
    result, _ = trial.choose("model", {"only": lambda *_: scores(i3=1.0)})
    assert [set(seed) for seed in result.seeds] == [{"recall_at_10", "ndcg_at_10"}]
    three = trial.again(result, [scores(), scores(i3=1.0)])
    assert len(three.seeds) == 3
    assert three.seeds[2] == three.seeds[0] != three.seeds[1]
    assert three.test == result.test


def test_the_shares_of_a_mix_are_chosen_on_validation(trial):
    right, wrong = scores(i4=2.0, i5=2.0), scores(i0=1.0, i1=1.0, i2=1.0)
    result, best = trial.choose_mix(
        "mix", {"right": right, "wrong": wrong}, [(0.1, 1.0), (1.0, 0.1), (0.0, 1.0)]
    )
    assert best == (1.0, 0.1)
    assert (result.settings, result.tried) == ("1 right + 0.1 wrong", 3)
    assert result.validation_ndcg == trial.validated(Mixed([(right, 1.0), (wrong, 0.1)]).scores)
    assert set(result.test) == {"recall_at_10", "ndcg_at_10"}


def test_a_sample_asks_some_of_the_users_the_same(trial):
    whole, some = trial.test, trial.test.sample(20)
    assert len(some.batch) == len(some.task.user_ids) == 20
    right = scores(i3=1.0)
    share = whole.take(right.scores)["recall_at_10"].mean()
    assert some.take(right.scores)["recall_at_10"].mean() == pytest.approx(share, abs=0.15)
    assert whole.sample(10_000) is whole
