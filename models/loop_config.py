"""How long and how fast a network is trained, and what happened."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast.

    ``patience``: epochs without a better validation before it stops; 0 never stops early.
    ``validate_every``: epochs from one validation to the next; the last epoch has one as well.
    ``final_rate_share``: the learning rate falls in a line to this share of itself.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    warmup_steps: int = 50
    final_rate_share: float = 1.0
    patience: int = 2
    validate_every: int = 1
    seed: int = 7
    report_every_s: float = 2.0
    checkpoint_every_s: float = 10.0


@dataclass(frozen=True)
class History:
    """What happened, for plots.

    ``train_loss``: one number an epoch; ``validation``: one each ``validate_every`` epochs.
    ``stopped``: ``finished``, ``early`` (validation stopped growing) or ``not_finite`` (the loss
    was NaN or infinite; the best finite weights are kept).
    """

    train_loss: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    best_epoch: int = -1
    seconds: float = 0.0
    rows_per_s: float = 0.0
    stopped: str = ""

    def to_json(self) -> dict[str, object]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "History":
        """Read what ``to_json`` gave."""
        curves = {name: tuple(content[name]) for name in ("train_loss", "validation")}
        return cls(**{**content, **curves})
