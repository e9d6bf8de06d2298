import json

import numpy as np
import pytest

from models.fusion import Calibration, Fusion, alpha_loss, calibrate, learn_alpha


def drawn(seed: int = 1, count: int = 4_000):
    """Log-odds x, whether it was wanted with just these odds, and noise that knows nothing."""
    generator = np.random.default_rng(seed)
    x = generator.normal(-1.0, 1.5, count)
    wanted = generator.random(count) < 1 / (1 + np.exp(-x))
    return x, wanted, generator.normal(0.0, 1.0, count)


def test_calibration_finds_the_scale_and_offset_that_were_planted():
    x, wanted, _ = drawn(count=20_000)
    found = calibrate((x - 3.0) / 2.0, wanted)  # so x = 2 score + 3
    assert found.scale == pytest.approx(2.0, rel=0.05)
    assert found.offset == pytest.approx(3.0, rel=0.05)


def test_calibrated_scores_are_right_on_average():
    x, wanted, _ = drawn()
    log_odds = calibrate(5.0 * x, wanted)(5.0 * x)
    assert np.mean(1 / (1 + np.exp(-log_odds))) == pytest.approx(wanted.mean(), abs=1e-6)


def test_a_model_that_is_wrong_way_round_is_ignored_not_turned_around():
    x, wanted, _ = drawn()
    assert calibrate(-x, wanted).scale == 0.0


def test_scores_that_separate_perfectly_still_calibrate():
    found = calibrate(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True]))
    assert np.isfinite([found.scale, found.offset]).all()
    assert found.scale > 0


@pytest.mark.parametrize("wanted", [np.zeros(4, bool), np.ones(4, bool)])
def test_calibration_without_both_outcomes_is_refused(wanted):
    with pytest.raises(ValueError, match="both outcomes"):
        calibrate(np.arange(4.0), wanted)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.77, 1.0])
def test_the_gradient_of_alpha_is_the_slope_of_its_loss(alpha):
    x, wanted, noise = drawn()
    step = 1e-5
    slope = (
        alpha_loss(alpha + step, x, noise, wanted)[0]
        - alpha_loss(alpha - step, x, noise, wanted)[0]
    ) / (2 * step)
    assert alpha_loss(alpha, x, noise, wanted)[1] == pytest.approx(slope, rel=1e-5)


def test_alpha_is_the_best_of_a_fine_grid():
    x, wanted, noise = drawn()
    dnn, transformer = x + 0.8 * noise, x - 0.9 * noise
    grid = np.linspace(0, 1, 1_001)
    best = grid[np.argmin([alpha_loss(a, dnn, transformer, wanted)[0] for a in grid])]
    assert learn_alpha(dnn, transformer, wanted) == pytest.approx(best, abs=1e-3)
    assert 0.0 < best < 1.0


def test_alpha_goes_to_the_model_that_is_not_noise():
    x, wanted, noise = drawn(count=20_000)
    assert Fusion.fit(x, noise, wanted).alpha > 0.95
    assert Fusion.fit(noise, x, wanted).alpha < 0.05


def test_alpha_never_leaves_its_bounds():
    x, wanted, _ = drawn()
    # Beyond the border the loss would still fall: 3x is overconfident, 2x less so.
    assert learn_alpha(2 * x, 3 * x, wanted) == 1.0
    assert learn_alpha(3 * x, 2 * x, wanted) == 0.0


def test_the_fusion_is_the_formula():
    fusion = Fusion(Calibration(2.0, 1.0), Calibration(4.0, -1.0), alpha=0.25)
    # 0.25 × (2·3 + 1) + 0.75 × (4·1 − 1) = 1.75 + 2.25
    assert fusion(np.array([[3.0]]), np.array([[1.0]])) == pytest.approx(4.0)


def test_what_is_counted_is_added_by_its_weight(tmp_path):
    fusion = Fusion(Calibration(2.0, 1.0), Calibration(4.0, -1.0), 0.25, counted_weight=0.5)
    one = np.ones((1, 1))
    assert fusion(3 * one, one, 6 * one) == pytest.approx(4.0 + 3.0)
    assert fusion(3 * one, one) == pytest.approx(4.0)
    fusion.save(tmp_path / "fusion.json")
    assert Fusion.load(tmp_path / "fusion.json") == fusion


def test_a_fusion_of_before_what_is_counted_was_added_adds_nothing(tmp_path):
    fusion = Fusion(Calibration(2.0, 1.0), Calibration(4.0, -1.0), 0.25)
    fusion.save(tmp_path / "fusion.json")
    content = json.loads((tmp_path / "fusion.json").read_text())
    del content["counted_weight"]
    (tmp_path / "fusion.json").write_text(json.dumps(content))
    assert Fusion.load(tmp_path / "fusion.json") == fusion


def test_a_saved_fusion_gives_the_same_scores(tmp_path):
    x, wanted, noise = drawn()
    fusion = Fusion.fit(x, noise, wanted)
    fusion.save(tmp_path / "fusion.json")
    loaded = Fusion.load(tmp_path / "fusion.json")
    np.testing.assert_array_equal(loaded(x, noise), fusion(x, noise))


# What a copied account of this formula gets wrong: its α is written down and never trained, its
# gradient is r2 − r1 (of the error, not of a loss: it descends without end), its fused network
# reads one of its two inputs.


def test_alpha_is_trained_it_leaves_a_half_for_a_lower_loss():
    x, wanted, noise = drawn()
    for dnn, transformer in ((x, x + 2 * noise), (x + 2 * noise, x)):
        first, second = calibrate(dnn, wanted)(dnn), calibrate(transformer, wanted)(transformer)
        alpha = learn_alpha(first, second, wanted)
        assert abs(alpha - 0.5) > 0.2
        losses = [alpha_loss(share, first, second, wanted)[0] for share in (alpha, 0.5)]
        assert losses[0] < losses[1] - 1e-3


@pytest.mark.parametrize(
    ("dnn", "transformer", "is_wanted", "sign"),
    [(1.0, 0.0, True, -1), (1.0, 0.0, False, 1), (0.0, 1.0, True, 1), (0.0, 1.0, False, -1)],
)
def test_descent_moves_alpha_towards_the_model_that_was_right(dnn, transformer, is_wanted, sign):
    """The label decides the sign; ``r2 − r1`` has the same one whatever happened."""
    gradient = alpha_loss(0.5, np.array([dnn]), np.array([transformer]), np.array([is_wanted]))[1]
    assert np.sign(gradient) == sign


def test_descending_the_gradient_ends_where_alpha_is_and_stays():
    x, wanted, noise = drawn()
    dnn, transformer = x + 0.8 * noise, x - 0.9 * noise
    alpha = 0.05
    for _ in range(500):
        alpha -= 0.5 * alpha_loss(alpha, dnn, transformer, wanted)[1]
    assert alpha == pytest.approx(learn_alpha(dnn, transformer, wanted), abs=1e-6)
    assert alpha_loss(alpha, dnn, transformer, wanted)[1] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_alpha_is_a_share_whatever_the_scores(seed):
    generator = np.random.default_rng(seed)
    wanted = generator.random(300) < 0.1
    wanted[:2] = True, False
    scale = 10.0 ** generator.uniform(-6, 6, 2)
    dnn, transformer = generator.normal(size=(2, 300)) * scale[:, None]
    assert 0.0 <= Fusion.fit(dnn, transformer, wanted).alpha <= 1.0
    assert 0.0 <= learn_alpha(dnn, transformer, wanted) <= 1.0


def test_the_fusion_reads_both_of_its_inputs():
    fusion = Fusion(Calibration(2.0, 1.0), Calibration(4.0, -1.0), alpha=0.25)
    zero, one = np.zeros(1), np.ones(1)
    assert fusion(one, zero) - fusion(zero, zero) == pytest.approx(0.25 * 2.0)
    assert fusion(zero, one) - fusion(zero, zero) == pytest.approx(0.75 * 4.0)
