import numpy as np
import pytest

from models.binary_metrics import (
    Counts,
    area_under_curve,
    best_f1_threshold,
    count_decisions,
    logistic_losses,
)


def test_counts_of_a_hand_worked_table():
    chosen = np.array([[True, True, False, False, True]])
    wanted = np.array([[True, False, True, False, True]])
    mask = np.array([[True, True, True, True, False]])  # the last is padding
    counts = count_decisions(chosen, wanted, mask=mask)
    cells = (counts.true_positive, counts.false_positive)
    cells += (counts.false_negative, counts.true_negative)
    assert [cell.tolist() for cell in cells] == [[1.0]] * 4
    assert counts.accuracy == counts.precision == counts.recall == counts.f1 == 0.5


def test_always_no_is_as_accurate_as_things_are_seldom_wanted():
    wanted = np.arange(100) < 3
    never = count_decisions(np.zeros(100, bool), wanted, mask=np.ones(100, bool))
    assert never.accuracy == 0.97
    assert never.recall == never.precision == never.f1 == 0.0


def test_f1_is_the_harmonic_mean():
    counts = Counts(*np.array([[6.0, 1.0], [2.0, 0.0], [4.0, 3.0], [8.0, 9.0]]))
    p, r = counts.precision, counts.recall
    np.testing.assert_allclose(counts.f1, 2 * p * r / (p + r))
    np.testing.assert_allclose(p, [6 / 8, 1.0])
    np.testing.assert_allclose(r, [6 / 10, 1 / 4])


def test_counts_of_lists_add_up_to_the_counts_of_all():
    generator = np.random.default_rng(2)
    chosen, wanted = generator.random((2, 5, 40)) < 0.3
    mask = generator.random((5, 40)) < 0.8
    by_list = count_decisions(chosen, wanted, mask=mask)
    whole = count_decisions(chosen.ravel(), wanted.ravel(), mask=mask.ravel())
    assert by_list.true_positive.sum() == whole.true_positive
    assert by_list.total.sum() == whole.total == mask.sum()


def test_the_threshold_is_the_best_of_all_there_are():
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 15, 300).astype(float)  # many ties
    wanted = generator.random(300) < 1 / (1 + np.exp(3 - scores / 4))
    mask = np.ones(300, bool)

    def f1(threshold):
        return float(count_decisions(scores >= threshold, wanted, mask=mask).f1)

    best = max(f1(threshold) for threshold in np.unique(scores))
    assert f1(best_f1_threshold(scores, wanted)) == pytest.approx(best)


def test_a_threshold_never_cuts_equal_scores_apart():
    # Choosing the first of the two 1s alone would be perfect, and cannot be done.
    scores, wanted = np.array([1.0, 1.0, 0.0]), np.array([True, False, False])
    assert best_f1_threshold(scores, wanted) == 1.0
    assert best_f1_threshold(scores[::-1], wanted[::-1]) == 1.0


def test_a_float32_threshold_chooses_its_own_candidate():
    scores = np.array([0.1, 0.3, 0.7], dtype=np.float32)
    threshold = best_f1_threshold(scores, np.array([False, True, True]))
    assert (scores >= threshold).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("scores", "wanted", "why"),
    [([1.0, np.nan], [True, False], "finite"), ([1.0, 2.0], [False, False], "no best F1")],
)
def test_a_threshold_that_cannot_be_found_is_refused(scores, wanted, why):
    with pytest.raises(ValueError, match=why):
        best_f1_threshold(np.array(scores), np.array(wanted))


def test_the_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(4)
    scores, wanted = generator.integers(0, 9, 200), generator.random(200) < 0.3
    up, down = scores[wanted][:, None], scores[~wanted][None, :]
    expected = np.mean((up > down) + 0.5 * (up == down))
    bins = [np.bincount(scores[kept], minlength=9).astype(float) for kept in (wanted, ~wanted)]
    assert area_under_curve(*bins) == pytest.approx(expected)


def test_losses_are_the_logarithms_of_what_was_said():
    losses = logistic_losses(np.array([np.log(4.0), -800.0, 800.0]), np.array([True, False, False]))
    # 4 to 1 for what happened: -log(4/5); sure and right: 0; sure and wrong: as many nats as odds
    np.testing.assert_allclose(losses, [-np.log(0.8), 0.0, 800.0])
