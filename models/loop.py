"""The training loop of every neural model: AdamW, warm-up, clipping, early stopping, resume.

A checkpoint is one safetensors file (weights, best weights, optimizer state) whose header holds the
rest as JSON, so that it is replaced atomically and read without pickle. Dropout is seeded by epoch:
a run that was killed and resumed ends with the same weights as one that was not (same machine, same
number of threads).
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from domain.errors import VitrineError
from domain.progress import silent
from models import checkpoints
from models.device import Device, choose_device

logger = logging.getLogger(__name__)

T_co = TypeVar("T_co", bound=Sized, covariant=True)
T = TypeVar("T", bound=Sized)


class DivergedError(VitrineError):
    """The loss stopped being a number before one epoch was done."""


class Batches(Protocol[T_co]):
    """The training rows. A batch's ``len`` is its rows."""

    def __len__(self) -> int:
        """Batches in one epoch."""

    def epoch(self, number: int) -> Iterator[T_co]:
        """The batches of epoch ``number`` (from 0): the same number gives the same batches."""


class ProgressCall(Protocol):
    """How the loop tells where it is; ``domain.progress.Progress`` is one."""

    def __call__(
        self, stage: str, message: str, *, done: float | None = None, total: float | None = None
    ) -> None:
        """Say where ``stage`` is."""


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast.

    ``patience``: epochs without a better validation before it stops; 0 never stops early.
    ``final_rate_share``: the learning rate falls in a line to this share of itself.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    warmup_steps: int = 50
    final_rate_share: float = 1.0
    patience: int = 2
    seed: int = 7
    report_every_s: float = 2.0


@dataclass(frozen=True)
class History:
    """What happened, for plots: one number an epoch.

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


@dataclass
class _State:
    history: History = field(default_factory=History)
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def fit(
    model: nn.Module,
    batches: Batches[T],
    loss_fn: Callable[[nn.Module, T], Tensor],
    *,
    config: LoopConfig,
    validate: Callable[[nn.Module], float] | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: ProgressCall = silent,
    stage: str = "train",
    device: Device | None = None,
) -> History:
    """Train ``model`` in place; it ends with the best validated (else the last finite) weights.

    Args:
        model: What is trained; moved to the device.
        batches: The rows; they must be on the device already.
        loss_fn: Mean loss of a batch; a scalar.
        config: Epochs, rates, patience, seed.
        validate: A number per epoch, higher is better; None keeps the last epoch.
        checkpoint: A file to resume from and to write after each epoch; None keeps nothing.
        fingerprint: What the run depends on (data, model config); another's checkpoint is ignored.
        progress: Called every ``report_every_s`` with loss, rows/s and seconds left.
        stage: The name progress carries.
        device: None chooses.

    Raises:
        DivergedError: If the loss is not finite before the first epoch is done.
    """
    device = device or choose_device()
    model.to(device.device)
    torch.manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    identity = f"{fingerprint}|{config}"
    state = _resume(model, optimizer, checkpoint, identity)
    reporter = _Reporter(progress, stage, config, len(batches))
    while not state.history.stopped:
        epoch = len(state.history.train_loss)
        began = time.monotonic()
        loss, rows = _run_epoch(
            model, optimizer, batches, loss_fn, state, config=config, device=device, tell=reporter
        )
        if not math.isfinite(loss):
            _stop_not_finite(model, state, stage)
            break
        score = _validated(model, validate)
        _note_epoch(model, state, epoch, loss=loss, score=score, config=config)
        _note_speed(state, rows=rows, seconds=time.monotonic() - began)
        reporter.epoch_done(epoch, loss, score)
        if checkpoint is not None:
            _keep(checkpoint, model, optimizer, state, identity)
    _finish(model, state, stage)
    return state.history


def _finish(model: nn.Module, state: _State, stage: str) -> None:
    model.load_state_dict(state.best)
    model.eval()
    history = state.history
    logger.info(
        "%s: %s after %d epochs, best epoch %d, %.1f s, %.0f rows/s",
        stage,
        history.stopped,
        len(history.train_loss),
        history.best_epoch,
        history.seconds,
        history.rows_per_s,
    )


def _validated(model: nn.Module, validate: Callable[[nn.Module], float] | None) -> float | None:
    """The validation score in eval mode without gradients; None without a validation."""
    if validate is None:
        return None
    model.eval()
    with torch.no_grad():
        return float(validate(model))


def _run_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches[T],
    loss_fn: Callable[[nn.Module, T], Tensor],
    state: _State,
    *,
    config: LoopConfig,
    device: Device,
    tell: "_Reporter",
) -> tuple[float, int]:
    """One pass; returns the mean loss (NaN as soon as one batch's is not finite) and the rows."""
    epoch = len(state.history.train_loss)
    model.train()
    torch.manual_seed(config.seed + 1_000_003 * (epoch + 1))
    total, rows = 0.0, 0
    for number, batch in enumerate(batches.epoch(epoch)):
        _set_learning_rate(optimizer, config, state.step, total=config.epochs * len(batches))
        optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            loss = loss_fn(model, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            return math.nan, rows
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        if not math.isfinite(float(norm)):
            return math.nan, rows
        optimizer.step()
        state.step += 1
        total += value * len(batch)
        rows += len(batch)
        tell.batch_done(epoch, number, loss=value, rows=len(batch))
    return total / max(rows, 1), rows


def _set_learning_rate(
    optimizer: torch.optim.Optimizer, config: LoopConfig, step: int, *, total: int
) -> None:
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    fall = 1.0 - (1.0 - config.final_rate_share) * min(1.0, step / max(total, 1))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * warm * fall


def _note_epoch(
    model: nn.Module,
    state: _State,
    epoch: int,
    *,
    loss: float,
    score: float | None,
    config: LoopConfig,
) -> None:
    history = state.history
    is_best = score is None or not history.validation or score > max(history.validation)
    if is_best:
        state.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
    best_epoch = epoch if is_best else history.best_epoch
    stopped = ""
    if epoch + 1 >= config.epochs:
        stopped = "finished"
    elif config.patience and epoch - best_epoch >= config.patience:
        stopped = "early"
    state.history = replace(
        history,
        train_loss=(*history.train_loss, loss),
        validation=history.validation if score is None else (*history.validation, score),
        best_epoch=best_epoch,
        stopped=stopped,
    )


def _note_speed(state: _State, *, rows: int, seconds: float) -> None:
    history = state.history
    state.history = replace(
        history,
        seconds=round(history.seconds + seconds, 3),
        rows_per_s=round(rows / max(seconds, 1e-9), 1),
    )


def _stop_not_finite(model: nn.Module, state: _State, stage: str) -> None:
    if not state.best:
        raise DivergedError(f"{stage}: the loss was not finite in the first epoch; nothing to keep")
    logger.warning(
        "%s: loss not finite in epoch %d; keeping the weights of epoch %d",
        stage,
        len(state.history.train_loss),
        state.history.best_epoch,
    )
    state.history = replace(state.history, stopped="not_finite")


def _keep(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: _State,
    identity: str,
) -> None:
    content = {"identity": identity, "step": state.step, "history": state.history.to_json()}
    checkpoints.write(path, model=model, best=state.best, optimizer=optimizer, content=content)


def _resume(
    model: nn.Module, optimizer: torch.optim.Optimizer, path: Path | None, identity: str
) -> _State:
    if path is None or not path.exists():
        return _State()
    content = checkpoints.header(path)
    if content.get("identity") != identity:
        logger.info("checkpoint %s is of another run; starting anew", path)
        return _State()
    best = checkpoints.restore(path, model=model, optimizer=optimizer)
    saved = content["history"]
    saved |= {name: tuple(saved[name]) for name in ("train_loss", "validation")}
    history = History(**saved)
    logger.info("resumed %s after epoch %d", path, len(history.train_loss) - 1)
    return _State(history=history, step=content["step"], best=best)


class _Reporter:
    """Tells loss, rows/s and seconds left, at most every few seconds."""

    def __init__(self, call: ProgressCall, stage: str, config: LoopConfig, steps: int) -> None:
        self._call, self._stage, self._config, self._steps = call, stage, config, max(steps, 1)
        self._began = self._told = time.monotonic()
        self._rows = self._batches = 0

    def batch_done(self, epoch: int, number: int, *, loss: float, rows: int) -> None:
        self._rows += rows
        self._batches += 1
        now = time.monotonic()
        if now - self._told < self._config.report_every_s:
            return
        self._told = now
        done = epoch * self._steps + number + 1
        total = self._config.epochs * self._steps
        left = (now - self._began) / self._batches * (total - done)
        self._call(
            self._stage,
            f"epoch {epoch + 1}/{self._config.epochs}, loss {loss:.4f}, "
            f"{self._rows / (now - self._began):.0f} rows/s, at most {left:.0f} s left",
            done=done,
            total=total,
        )

    def epoch_done(self, epoch: int, loss: float, score: float | None) -> None:
        shown = "" if score is None else f", validation {score:.4f}"
        self._call(
            self._stage,
            f"epoch {epoch + 1}/{self._config.epochs} done, loss {loss:.4f}{shown}",
            done=(epoch + 1) * self._steps,
            total=self._config.epochs * self._steps,
        )
