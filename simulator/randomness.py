"""Where all chance comes from: a generator for each purpose and day.

Every day has generators of its own, so a later day never depends on how many numbers an earlier one
drew, and any day can be generated alone.
"""

from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.object_]


class Stream(IntEnum):
    """The purposes. Their numbers are part of the shop's truth: never renumber one."""

    USERS = 1
    ITEMS = 2
    HABITS = 3
    SESSIONS = 4
    SEARCHES = 5
    SLATES = 6
    CHOICES = 7
    RETURNS = 8
    DIRT = 9


def generator(seed: int, stream: Stream, day: date | None = None) -> np.random.Generator:
    """The generator of one purpose, on one day or once for the whole shop.

    Raises:
        ValueError: If seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    return np.random.default_rng([seed, int(stream), day.toordinal() if day else 0])


def pick(rng: np.random.Generator, weights: Floats, *, count: int) -> Ints:
    """``count`` indices drawn with replacement, proportional to ``weights`` (need not sum to 1)."""
    edges = np.cumsum(weights)
    drawn = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
    return np.asarray(drawn, dtype=np.int64)


def gumbel_argmax(rng: np.random.Generator, logits_NM: Floats) -> Ints:
    """One column for each row, drawn from the softmax of the row.

    Source: the Gumbel-max trick (Gumbel, 1954; Maddison et al., arXiv 1411.0030).
    """
    noise = rng.gumbel(size=logits_NM.shape)
    return np.asarray(np.argmax(logits_NM + noise, axis=1), dtype=np.int64)


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), for logits within ±500."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0)))
