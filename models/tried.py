"""A trial of a search for settings, as those know it who draw, track and report it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.retrieval.settings_file import Value

State = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Tried:
    """One trial that ended.

    Attributes:
        number: From 0, in the order they began.
        state: ``pruned``: given up; ``failed``: cut off by a kill or by the end of the budget.
        settings: Name in the space → value.
        score: On validation; None if it did not finish.
        seconds: Of fitting and judging; 0 if it was killed.
        curve: The score at each validation of a network's training.
        reason: Why it failed, or was worth nothing.
    """

    number: int
    state: State
    settings: Mapping[str, Value]
    score: float | None
    seconds: float
    curve: tuple[float, ...] = ()
    reason: str = ""


def best_of(trials: Sequence[Tried]) -> Tried | None:
    """The finished one with the highest score, the earliest of equal ones; None if none finished.

    Example:
        >>> trials = [Tried(n, "finished", {}, 0.1 * n, seconds=1.0) for n in range(3)]
        >>> best_of(trials).number
        2
    """
    scored = [tried for tried in trials if tried.state == "finished"]
    return max(scored, key=lambda tried: (tried.score or 0.0, -tried.number), default=None)


def mean_s(trials: Sequence[Tried]) -> float:
    """Mean seconds of a trial; 0 of none."""
    return sum(tried.seconds for tried in trials) / len(trials) if trials else 0.0
