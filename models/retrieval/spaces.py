"""What a search may change in each retriever's configuration, and how far: data, no code.

A space belongs to a class of configurations and to those made from it, unless they have their own.
What is not named stays as the preset has it: how long is trained (a longer training with a rate
that falls over all of it is another training, not the same one further on), seeds, limits.
"""

# Names with a dot lie one configuration deeper: ``loop.learning_rate``.

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from domain.errors import BadInputError
from models.retrieval.config import (
    AlsConfig,
    BayesConfig,
    ContentConfig,
    ConvolutionConfig,
    CountedConfig,
    EaseConfig,
    FactorisationConfig,
    GanConfig,
    GruConfig,
    NeighboursConfig,
    NextItemConfig,
    PersonalConfig,
    PopularityConfig,
    RetrieverConfig,
    SequenceConfig,
    TransitionsConfig,
    VaeConfig,
)
from models.retrieval.settings_file import Value, value_of

Number = int | float


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both included; whole numbers if both are.

    ``is_log``: twice as much is as far anywhere; needs ``low`` above 0.
    """

    low: Number
    high: Number
    is_log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.is_log and self.low <= 0):
            raise ValueError(f"no range: {self}")

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def including(self, value: Value) -> "Range":
        """The same range, as much wider as it takes."""
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{value!r} is no number of {self}")
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True)
class Choice:
    """One of some values that have no order, or too few to speak of one."""

    values: tuple[Value, ...]

    def including(self, value: Value) -> "Choice":
        """The same choice, with ``value`` if it was not there."""
        return self if value in self.values else Choice((*self.values, value))


Dimension = Range | Choice
Space = Mapping[str, Dimension]

_SEEN: Final = Range(0.0, 0.5)
_POWER: Final = Range(0.25, 4.0, is_log=True)
"""What was bought often weighs the sum: at higher powers one wholesaler is the whole matrix."""
_LOOP: Final[Space] = {
    "loop.learning_rate": Range(3e-4, 1e-2, is_log=True),
    "loop.weight_decay": Range(0.0, 0.5),
}
_ALS: Final[Space] = {
    "factors": Range(16, 256, is_log=True),
    "regularization": Range(1.0, 200.0, is_log=True),
    "alpha": Range(1.0, 40.0, is_log=True),
    "power": _POWER,
    "iterations": Range(4, 16),
    "seen_weight": _SEEN,
}
_GENERATED: Final[Space] = {
    "als.regularization": Range(1.0, 200.0, is_log=True),
    "als.alpha": Range(1.0, 40.0, is_log=True),
    "als.power": _POWER,
    "hidden": Range(64, 512, is_log=True),
    **_LOOP,
}
_NEXT_ITEM: Final[Space] = {
    "width": Choice((32, 64, 128)),
    "blocks": Range(1, 3),
    "dropout": Range(0.0, 0.7),
    "history_length": Range(10, 50, is_log=True),
    "negatives": Range(128, 4_096, is_log=True),
    "negative_power": Range(0.0, 1.0),
    **_LOOP,
}
_HEADS: Final = Choice((1, 2, 4))

SPACES: Final[Mapping[type, Space]] = MappingProxyType(
    {
        PopularityConfig: {
            "window_days": Range(1, 365, is_log=True),
            "half_life_days": Choice((None, 3.0, 7.0, 14.0, 30.0, 90.0)),
        },
        PersonalConfig: {
            "popularity_share": Range(0.01, 10.0, is_log=True),
            "popularity.window_days": Range(1, 90, is_log=True),
        },
        CountedConfig: {
            "popularity_share": Range(0.01, 10.0, is_log=True),
            "bought_power": Range(0.25, 1.0),
            "ease.regularization": Range(10.0, 3_000.0, is_log=True),
            "ease.power": _POWER,
        },
        AlsConfig: _ALS,
        NeighboursConfig: {
            "neighbours": Range(20, 500, is_log=True),
            "shrinkage": Range(0.0, 100.0),
            "power": _POWER,
            "seen_weight": _SEEN,
        },
        EaseConfig: {
            "regularization": Range(10.0, 3_000.0, is_log=True),
            "power": _POWER,
            "seen_weight": _SEEN,
        },
        TransitionsConfig: {
            "distance": Range(1, 40, is_log=True),
            "decay": Range(0.5, 1.0),
            "normalization": Range(0.0, 1.0),
            "history_length": Range(5, 50, is_log=True),
            "history_decay": Range(0.3, 1.0),
        },
        ContentConfig: {"power": _POWER, "seen_weight": _SEEN},
        FactorisationConfig: {
            "factors": Range(8, 64, is_log=True),
            "ridge": Range(0.005, 1.0, is_log=True),
            "iterations": Range(5, 20),
        },
        BayesConfig: {
            "smoothing": Range(1.0, 300.0, is_log=True),
            "unseen": Range(0.05, 5.0, is_log=True),
            "power": _POWER,
            "seen_weight": _SEEN,
        },
        VaeConfig: {
            "latent": Choice((0, 4, 16, 32)),
            "kl_weight": Range(0.05, 2.0, is_log=True),
            **_GENERATED,
        },
        GanConfig: {
            "noise": Choice((4, 16, 32)),
            "adversary_weight": Range(0.02, 2.0, is_log=True),
            **_GENERATED,
        },
        SequenceConfig: {
            "width": Choice((32, 64, 128)),
            "heads": _HEADS,
            "blocks": Range(1, 3),
            "dropout": Range(0.0, 0.7),
            "new_weight": Range(0.1, 0.9),
            "target_days": Range(7, 60, is_log=True),
            "moments_per_user": Range(1, 6),
            "moment_half_life_days": Range(30.0, 365.0, is_log=True),
            **_LOOP,
        },
        NextItemConfig: {**_NEXT_ITEM, "heads": _HEADS},
        GruConfig: {**_NEXT_ITEM, "blocks": Range(1, 2)},
        ConvolutionConfig: {**_NEXT_ITEM, "blocks": Range(1, 4), "kernel": Choice((2, 3, 5))},
    }
)
"""Class of configurations → name → where its value may lie."""


def space_of(config: RetrieverConfig) -> dict[str, Dimension]:
    """The space of a configuration, in a fixed order, widened so that it lies inside itself.

    Raises:
        BadInputError: If there is none.
    """
    kind = next((kind for kind in type(config).__mro__ if kind in SPACES), None)
    if kind is None:
        raise BadInputError(
            f"{type(config).__name__} has no search space: name it in models/retrieval/spaces.py"
        )
    return {
        name: SPACES[kind][name].including(value_of(config, name)) for name in sorted(SPACES[kind])
    }
