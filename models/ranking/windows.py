"""Which days the rankers learn from and are calibrated on: windows before the cutoff, by time.

    ── retrieval is fitted ──┤ train │ train │ train │ validation │ until
                             ^ snapshot      ^ snapshot

At a window's first moment (its snapshot) the candidates are made and the features are read; what
the users then do in the window are the labels. No window sees anything of a later one.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from domain.errors import CannotJudgeError


@dataclass(frozen=True)
class WindowConfig:
    """How long a window is and how many there are, where the shop has enough days."""

    days: int = 28
    train_count: int = 3


@dataclass(frozen=True)
class Window:
    """The days from ``start`` (the snapshot) up to, without, ``end``."""

    start: date
    end: date


@dataclass(frozen=True)
class Windows:
    """``train`` oldest first, then ``validation``, which ends at the cutoff."""

    train: tuple[Window, ...]
    validation: Window

    @property
    def first_snapshot(self) -> date:
        """Retrieval that proposes training candidates knows nothing from here on."""
        return self.train[0].start


def plan_windows(*, first_day: date, until: date, config: WindowConfig) -> Windows:
    """Lay windows of equal length before ``until``; at least half the days stay for retrieval.

    Args:
        first_day: The first day with an example.
        until: The first day not seen.
        config: The wish; a short shop gets shorter and fewer windows.

    Raises:
        CannotJudgeError: If there are fewer than 6 days: no room for two windows.

    Example:
        >>> plan = plan_windows(
        ...     first_day=date(2026, 1, 1), until=date(2026, 2, 10), config=WindowConfig(14, 4)
        ... )
        >>> plan.validation.start, plan.first_snapshot  # 40 days: windows of 10, one to train on
        (datetime.date(2026, 1, 31), datetime.date(2026, 1, 21))
    """
    total = (until - first_day).days
    if total < 6:
        raise CannotJudgeError(
            f"{total} days of examples before {until}: at least 6 are needed to train a ranker"
        )
    days = max(1, min(config.days, total // 4))
    train_count = max(1, min(config.train_count, total // 2 // days - 1))
    starts = [until - timedelta(days=days * back) for back in range(train_count + 1, 0, -1)]
    windows = [Window(start, start + timedelta(days=days)) for start in starts]
    return Windows(train=tuple(windows[:-1]), validation=windows[-1])
