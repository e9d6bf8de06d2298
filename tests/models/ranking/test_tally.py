import numpy as np
import pytest

from models.bootstrap import times_drawn
from models.ranking.judge import list_ndcg
from models.ranking.tally import MEASURES, measures_of, tally_lists


@pytest.fixture
def drawn():
    """40 lists of up to 30 candidates: log-odds, labels, mask; what is wanted scores higher."""
    generator = np.random.default_rng(8)
    labels = (generator.random((40, 30)) < 0.1).astype(np.float32) * 2
    labels[3] = 0.0
    mask = np.arange(30) < generator.integers(10, 31, 40)[:, None]
    labels *= mask
    log_odds = generator.normal(-2.5, 1.0, (40, 30)) + 1.5 * (labels > 0)
    return log_odds, labels, mask


def test_measures_are_those_of_the_candidates_themselves(drawn):
    log_odds, labels, mask = drawn
    found = measures_of(tally_lists(log_odds, labels, mask, threshold=-1.5).sum(axis=0))
    scores, wanted = log_odds[mask], labels[mask] > 0
    chosen = scores >= -1.5
    probability = 1 / (1 + np.exp(-scores))
    hits = (chosen & wanted).sum()
    assert found["accuracy"] == pytest.approx((chosen == wanted).mean())
    assert found["precision"] == pytest.approx(hits / chosen.sum())
    assert found["recall"] == pytest.approx(hits / wanted.sum())
    assert found["f1"] == pytest.approx(2 * hits / (chosen.sum() + wanted.sum()))
    said = np.where(wanted, probability, 1 - probability)
    assert found["log_loss"] == pytest.approx(-np.log(said).mean())
    pairs = scores[wanted][:, None] > scores[~wanted]
    assert found["auc"] == pytest.approx(pairs.mean(), abs=1e-3)
    masked = np.where(mask, log_odds, -np.inf)
    assert found["ndcg_at_10"] == pytest.approx(list_ndcg(masked, labels))
    assert set(found) == set(MEASURES)


def test_padding_changes_nothing(drawn):
    log_odds, labels, mask = drawn
    before = tally_lists(log_odds, labels, mask, threshold=-1.5)
    wild = np.where(mask, log_odds, 50.0)
    np.testing.assert_array_equal(tally_lists(wild, labels, mask, threshold=-1.5), before)


def test_a_resample_is_judged_as_if_its_lists_were_all_there_are(drawn):
    log_odds, labels, mask = drawn
    times = times_drawn(40, resamples=3)
    resampled = measures_of(times @ tally_lists(log_odds, labels, mask, threshold=-1.5))
    rows = np.repeat(np.arange(40), times[1].astype(int))
    again = measures_of(
        tally_lists(log_odds[rows], labels[rows], mask[rows], threshold=-1.5).sum(axis=0)
    )
    for name in MEASURES:
        # Bins are laid anew over the drawn candidates: the area may differ by a part of a bin.
        near = 2e-3 if name == "auc" else 1e-9
        assert resampled[name][1] == pytest.approx(again[name], abs=near)


def test_scores_that_say_nothing_have_an_area_of_a_half(drawn):
    _, labels, mask = drawn
    found = measures_of(tally_lists(np.zeros(labels.shape), labels, mask, threshold=0.0).sum(0))
    assert found["auc"] == 0.5
    assert found["log_loss"] == pytest.approx(np.log(2))
