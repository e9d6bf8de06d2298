"""How sure we are: percentile bootstrap over users, seeded."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 1_000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over users with its 95 % bootstrap interval."""

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
