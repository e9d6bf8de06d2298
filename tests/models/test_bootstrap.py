import numpy as np
import pytest

from models.bootstrap import bootstrap_interval, seeds_interval, times_drawn


def test_the_interval_is_about_two_standard_errors_wide():
    values = np.random.default_rng(1).normal(size=4_000)
    interval = bootstrap_interval(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(4_000), rel=0.1)
    assert interval.low < interval.mean < interval.high


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=8)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_nothing_and_nan_are_refused(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(np.array(values))


def test_times_drawn_draw_the_users_that_the_interval_draws():
    values = np.random.default_rng(2).normal(size=70)
    means = times_drawn(70) @ values / 70
    interval = bootstrap_interval(values)
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx([interval.low, interval.high])


def test_an_interval_over_seeds_is_students():
    # Five values, mean 3, deviation √2.5; t of four degrees of freedom is 2.776
    interval = seeds_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert interval.mean == 3.0
    assert interval.high - 3.0 == pytest.approx(2.776 * np.sqrt(2.5 / 5), rel=1e-3)
    assert 3.0 - interval.low == pytest.approx(interval.high - 3.0)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="two of them"):
        seeds_interval(np.array([1.0]))
