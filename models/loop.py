"""The training loop of every neural model: AdamW, warm-up, clipping, early stopping, resume.

A checkpoint is one safetensors file (weights, best weights, optimizer state) whose header holds the
rest as JSON, so that it is replaced atomically and read without pickle. Dropout is seeded by epoch:
a run that was killed and resumed ends with the same weights as one that was not (same machine, same
number of threads). Under ``torchrun`` each process takes its share of every batch (``ranks``), and
a batch that does not fit the memory is taken in as many parts as do.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from domain.errors import VitrineError
from domain.progress import silent
from models import checkpoints
from models.device import Device, choose_device, repeatable
from models.loop_config import History, LoopConfig
from models.ranks import Ranks, joined_ranks
from models.steps import B, Batch, Steps

__all__ = ["Batch", "Batches", "DivergedError", "History", "LoopConfig", "ProgressCall", "fit"]

logger = logging.getLogger(__name__)

LOOK_EVERY: int = 16
"""Steps after which the loss is looked at: on a GPU each look waits for all that was launched."""


class DivergedError(VitrineError):
    """The loss stopped being a number before one epoch was done."""


B_co = TypeVar("B_co", bound=Batch, covariant=True)


class Batches(Protocol[B_co]):
    """The training rows."""

    def __len__(self) -> int:
        """Batches in one epoch."""

    def epoch(self, number: int) -> Iterator[B_co]:
        """The batches of epoch ``number`` (from 0): the same number gives the same batches."""


class ProgressCall(Protocol):
    """How the loop tells where it is; ``domain.progress.Progress`` is one."""

    def __call__(
        self, stage: str, message: str, *, done: float | None = None, total: float | None = None
    ) -> None:
        """Say where ``stage`` is."""


@dataclass
class _State:
    history: History = field(default_factory=History)
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def fit(
    model: nn.Module,
    batches: Batches[B],
    loss_fn: Callable[[nn.Module, B], Tensor],
    *,
    config: LoopConfig,
    validate: Callable[[nn.Module], float] | None = None,
    watch: Callable[[nn.Module], None] | None = None,
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
        validate: A number, higher is better; None keeps the last epoch.
        watch: Shown the model whenever a validation is due; it changes nothing, but may raise.
        checkpoint: A file to resume from and to write after epochs; None keeps nothing.
        fingerprint: What the run depends on (data, model config); another's checkpoint is ignored.
        progress: Called every ``report_every_s`` with loss, rows/s and seconds left.
        stage: The name progress carries.
        device: None chooses.

    Raises:
        DivergedError: If the loss is not finite before the first epoch is done.
        torch.OutOfMemoryError: If not even one row fits.
    """
    device = device or choose_device()
    model.to(device.device)
    torch.manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    identity = f"{fingerprint}|{config}"
    state = _resume(model, optimizer, checkpoint, identity)
    with repeatable(device.device), joined_ranks() as ranks:
        if not ranks.is_first:
            checkpoint, progress = None, silent
        reporter = _Reporter(progress, stage, config, len(batches))
        steps = Steps(
            model,
            optimizer,
            device.compiled(loss_fn, steps=config.epochs * len(batches)),
            config=config,
            device=device,
            ranks=ranks,
            stage=stage,
        )
        keeper = _Keeper(checkpoint, model, optimizer, identity, config.checkpoint_every_s)
        while not state.history.stopped:
            epoch = len(state.history.train_loss)
            began = time.monotonic()
            loss, rows = _run_epoch(steps, batches, state, tell=reporter)
            if not math.isfinite(loss):
                _stop_not_finite(state, stage)
                break
            seconds = time.monotonic() - began
            score = _validated(model, validate, watch, epoch, config=config, ranks=ranks)
            _note_epoch(model, state, epoch, loss=loss, score=score, config=config)
            _note_speed(state, rows=rows, seconds=seconds, all_s=time.monotonic() - began)
            reporter.epoch_done(epoch, loss, score)
            keeper.keep(state)
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


def _validated(
    model: nn.Module,
    validate: Callable[[nn.Module], float] | None,
    watch: Callable[[nn.Module], None] | None,
    epoch: int,
    *,
    config: LoopConfig,
    ranks: Ranks,
) -> float | None:
    """The validation score in eval mode without gradients; None where none is due."""
    is_due = (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs
    if not is_due or (validate is None and watch is None):
        return None
    model.eval()
    with torch.no_grad():
        if watch is not None and ranks.is_first:
            watch(model)
        return None if validate is None else ranks.of_first(float(validate(model)))


def _run_epoch(
    steps: Steps[B], batches: Batches[B], state: _State, *, tell: "_Reporter"
) -> tuple[float, int]:
    """One pass; returns the mean loss (NaN soon after one batch's is not finite) and the rows."""
    epoch, config = len(state.history.train_loss), steps.config
    steps.model.train()
    torch.manual_seed(config.seed + 1_000_003 * (epoch + 1))
    total, rows, number, latest = 0.0, 0, -1, math.nan
    unseen: list[tuple[Tensor, int]] = []
    for number, batch in enumerate(batches.epoch(epoch)):
        loss = steps.step(batch, number=state.step, total=config.epochs * len(batches))
        state.step += 1
        unseen.append((loss, len(batch)))
        rows += len(batch)
        if number % LOOK_EVERY == 0:
            values = _looked_at(unseen)
            total, latest = total + sum(values), values[-1] / len(batch)
            if not math.isfinite(total):
                return math.nan, rows
            tell.batches_done(epoch, number, loss=latest, rows=rows)
    # There may be fewer batches than were promised: what is left is looked at after the last.
    if values := _looked_at(unseen):
        total, latest = total + sum(values), values[-1] / len(batch)
    tell.batches_done(epoch, number, loss=latest, rows=rows)
    return total / max(rows, 1), rows


def _looked_at(unseen: list[tuple[Tensor, int]]) -> list[float]:
    """The losses not looked at yet, each times its rows; empties the list."""
    values = torch.stack([loss for loss, _ in unseen]).tolist() if unseen else []
    sums = [value * count for value, (_, count) in zip(values, unseen, strict=True)]
    unseen.clear()
    return sums


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
    # Without a validation the last epoch is the best; before the first one any is.
    is_last_best = score is None and not history.validation
    is_best = is_last_best or (score is not None and score > max(history.validation, default=-1.0))
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


def _note_speed(state: _State, *, rows: int, seconds: float, all_s: float) -> None:
    history = state.history
    state.history = replace(
        history,
        seconds=round(history.seconds + all_s, 3),
        rows_per_s=round(rows / max(seconds, 1e-9), 1),
    )


def _stop_not_finite(state: _State, stage: str) -> None:
    if not state.best:
        raise DivergedError(f"{stage}: the loss was not finite in the first epoch; nothing to keep")
    logger.warning(
        "%s: loss not finite in epoch %d; keeping the weights of epoch %d",
        stage,
        len(state.history.train_loss),
        state.history.best_epoch,
    )
    state.history = replace(state.history, stopped="not_finite")


class _Keeper:
    """Writes the checkpoint at the end, and before as often as is worth it."""

    def __init__(
        self,
        path: Path | None,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: str,
        every_s: float,
    ) -> None:
        self._path, self._model, self._optimizer = path, model, optimizer
        self._identity, self._every_s, self._kept = identity, every_s, time.monotonic()

    def keep(self, state: _State) -> None:
        """Write it, if there is a path and it is time."""
        is_due = state.history.stopped or time.monotonic() - self._kept >= self._every_s
        if self._path is None or not is_due:
            return
        content = {"step": state.step, "history": state.history.to_json()}
        checkpoints.write(
            self._path,
            model=self._model,
            best=state.best,
            optimizer=self._optimizer,
            content={"identity": self._identity, **content},
        )
        self._kept = time.monotonic()


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
    history = History.from_json(content["history"])
    logger.info("resumed %s after epoch %d", path, len(history.train_loss) - 1)
    return _State(history=history, step=content["step"], best=best)


class _Reporter:
    """Tells loss, rows/s and seconds left, at most every few seconds."""

    def __init__(self, call: ProgressCall, stage: str, config: LoopConfig, steps: int) -> None:
        self._call, self._stage, self._config, self._steps = call, stage, config, max(steps, 1)
        self._began = self._told = time.monotonic()
        self._rows_before = self._steps_done = 0
        self._epoch_rows = self._epoch_steps = 0

    def batches_done(self, epoch: int, number: int, *, loss: float, rows: int) -> None:
        """``number``: the last batch done in ``epoch``; ``rows``: of the epoch so far."""
        self._epoch_rows, self._epoch_steps = rows, number + 1
        now = time.monotonic()
        if now - self._told < self._config.report_every_s:
            return
        self._told = now
        done = epoch * self._steps + number + 1
        total = self._config.epochs * self._steps
        took = now - self._began
        left = took / (self._steps_done + self._epoch_steps) * (total - done)
        self._call(
            self._stage,
            f"epoch {epoch + 1}/{self._config.epochs}, loss {loss:.4f}, "
            f"{(self._rows_before + rows) / took:.0f} rows/s, at most {left:.0f} s left",
            done=done,
            total=total,
        )

    def epoch_done(self, epoch: int, loss: float, score: float | None) -> None:
        self._rows_before += self._epoch_rows
        self._steps_done += self._epoch_steps
        shown = "" if score is None else f", validation {score:.4f}"
        self._call(
            self._stage,
            f"epoch {epoch + 1}/{self._config.epochs} done, loss {loss:.4f}{shown}",
            done=(epoch + 1) * self._steps,
            total=self._config.epochs * self._steps,
        )
