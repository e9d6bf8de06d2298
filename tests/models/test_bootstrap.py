import numpy as np
import pytest

from models.bootstrap import bootstrap_interval


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
