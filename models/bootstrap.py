"""How sure we are: percentile bootstrap over users, seeded; Student's interval over seeds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

RESAMPLES = 1_000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over users (or seeds) with its 95 % interval."""

    mean: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Mean, low and high, to six digits."""
        return {name: round(getattr(self, name), 6) for name in ("mean", "low", "high")}


def bootstrap_interval(
    values_B: npt.NDArray[np.float64], *, seed: int = 7, resamples: int = RESAMPLES
) -> Interval:
    """The mean of one value per user, with its 95 % interval.

    The same seed and number of users draw the same users, so intervals of two models agree.

    Raises:
        ValueError: If there are no values or one is not finite.

    Example:
        >>> bootstrap_interval(np.ones(5))
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    values_B = np.asarray(values_B, dtype=np.float64)
    if len(values_B) == 0 or not np.isfinite(values_B).all():
        raise ValueError(f"need finite values, got {len(values_B)}")
    generator = np.random.default_rng(seed)
    at_once = max(1, _CHUNK_CELLS // len(values_B))
    means: list[npt.NDArray[np.float64]] = []
    for begin in range(0, resamples, at_once):
        shape = (min(at_once, resamples - begin), len(values_B))
        means.append(values_B[generator.integers(0, len(values_B), size=shape)].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(values_B.mean()), float(low), float(high))


def times_drawn(
    count: int, *, seed: int = 7, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """How often each of ``count`` users is drawn in each resample: [resamples, count].

    Times what adds up over users it gives the sums of every resample. The draws are those of
    ``bootstrap_interval``.

    Example:
        >>> times_drawn(3, resamples=2).sum(axis=1)
        array([3., 3.])
    """
    drawn = np.random.default_rng(seed).integers(0, count, size=(resamples, count))
    cells = drawn + count * np.arange(resamples)[:, None]
    times = np.bincount(cells.ravel(), minlength=resamples * count)
    return times.reshape(resamples, count).astype(np.float64)


def seeds_interval(values_S: npt.NDArray[np.float64]) -> Interval:
    """The mean over seeds with Student's 95 % interval: a bootstrap of ten values is too narrow.

    Raises:
        ValueError: If there are fewer than two seeds: one says nothing about others.

    Example:
        2 ± t · √2 / √2, and t is 12.706 for two seeds

        >>> seeds_interval(np.array([1.0, 3.0])).to_json()
        {'mean': 2.0, 'low': -10.706205, 'high': 14.706205}
    """
    values_S = np.asarray(values_S, dtype=np.float64)
    if len(values_S) < 2:
        raise ValueError(f"an interval over seeds needs two of them, got {len(values_S)}")
    error = values_S.std(ddof=1) / np.sqrt(len(values_S))
    reach = float(stdtrit(len(values_S) - 1, 0.975)) * error
    mean = float(values_S.mean())
    return Interval(mean, float(mean - reach), float(mean + reach))
