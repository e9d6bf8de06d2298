"""One training step after the other: in parts where memory asks for it, with other processes."""

import logging
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from models.device import Device
from models.loop_config import LoopConfig
from models.ranks import Ranks

logger = logging.getLogger(__name__)


class Batch(Protocol):
    """Some training rows on the device. ``len``: the rows that the mean loss is a mean of."""

    def __len__(self) -> int:
        """Rows."""

    def share(self, number: int, of: int) -> Self:
        """The share ``number`` of ``of`` about equal ones (``ranks.share``)."""


B = TypeVar("B", bound=Batch)


class Steps(Generic[B]):
    """One step after the other, in as many parts as the memory asks for."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Callable[[nn.Module, B], Tensor],
        *,
        config: LoopConfig,
        device: Device,
        ranks: Ranks,
        stage: str,
    ) -> None:
        self.model, self.config = model, config
        self._optimizer, self._loss_fn = optimizer, loss_fn
        self._device, self._ranks, self._stage = device, ranks, stage
        self._parts = 1

    def step(self, batch: B, *, number: int, total: int) -> Tensor:
        """One step; returns the batch's mean loss, which may be no number (nothing is done then).

        Args:
            batch: The whole batch, of all processes.
            number: How many steps went before.
            total: How many there are at most.
        """
        mine = _share(batch, self._ranks.rank, self._ranks.size)
        loss = self._ranks.total(self._gradients(mine, rows=len(batch)))
        self._ranks.total_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        _set_learning_rate(self._optimizer, self.config, number, total=total)
        self._optimizer.step()
        return loss

    def _gradients(self, batch: B, *, rows: int) -> Tensor:
        """Put the gradients of ``batch``'s part in the mean over ``rows`` in place; its loss."""
        while True:
            try:
                return self._in_parts(batch, rows=rows)
            except torch.OutOfMemoryError:
                if self._parts * 2 > len(batch):
                    raise
                self._parts *= 2
                logger.warning(
                    "%s: out of memory; each batch of about %d rows is taken in %d parts from now",
                    self._stage,
                    len(batch),
                    self._parts,
                )
            # Outside of the except block, whose traceback still holds the tensors.
            self._optimizer.zero_grad(set_to_none=True)
            if self._device.device.type == "cuda":
                torch.cuda.empty_cache()

    def _in_parts(self, batch: B, *, rows: int) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._device.device)
        for number in range(self._parts):
            part = _share(batch, number, self._parts)
            if len(part) == 0:
                continue
            with self._device.autocast():
                loss = self._loss_fn(self.model, part)
            loss = loss * (len(part) / rows) if len(part) != rows else loss
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total


def _share(batch: B, number: int, of: int) -> B:
    """The only share is the batch itself: made anew, it would look for its targets again."""
    return batch if of == 1 else batch.share(number, of)


def _set_learning_rate(
    optimizer: torch.optim.Optimizer, config: LoopConfig, step: int, *, total: int
) -> None:
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    fall = 1.0 - (1.0 - config.final_rate_share) * min(1.0, step / max(total, 1))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * warm * fall
