"""Where tensors live: CUDA with bf16 when there is a GPU, else the CPU; the choice is logged."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, ParamSpec

import torch
from torch import Tensor

from models.ranks import own_gpu

logger = logging.getLogger(__name__)

P = ParamSpec("P")

COMPILED_FROM_STEPS: Final = 10_000
"""Steps that win back the time of compiling: 32 s at 3.9 ms a step (docs/log.md, an H200)."""


@dataclass(frozen=True)
class Device:
    """A device, whether the forward pass runs in bf16 there, and why it was chosen."""

    device: torch.device
    is_bf16: bool
    reason: str

    def autocast(self) -> torch.autocast:
        """The context for a forward pass: bf16 where it pays, float32 otherwise."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_bf16)

    def compiled(self, loss_fn: Callable[P, Tensor], *, steps: int) -> Callable[P, Tensor]:
        """``loss_fn`` compiled on a GPU, where launches cost more than what is launched.

        What does not compile is said once and runs as it is written. Compiling takes longer than
        a short training: see ``COMPILED_FROM_STEPS``.
        """
        pays = self.device.type == "cuda" and steps >= COMPILED_FROM_STEPS
        return compiled_or_eager(loss_fn) if pays else loss_fn


def compiled_or_eager(loss_fn: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Compile at the first call; a function that cannot be compiled stays what it is."""
    chosen: Callable[P, Tensor] = torch.compile(loss_fn, dynamic=True)

    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        nonlocal chosen
        try:
            return chosen(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            logger.warning("not compiled, runs as it is: %s", str(error).splitlines()[0])
            chosen = loss_fn
            return loss_fn(*args, **kwargs)

    return call


def given_cores() -> int:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


@contextmanager
def training_threads(threads: int) -> Iterator[int]:
    """Pin torch's threads while a run trains, whatever the process did before.

    Sums are split over threads, so another number of threads rounds otherwise: a run that goes
    on after a kill would end with other weights.

    Args:
        threads: How many; 0 takes every core given to us.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or given_cores())
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU the same seed and number of threads give the same bits, however the threads run.

    Some gradients are sums that threads add to as they come, those of ``tensor[indices]`` above
    all. torch has another way for each of them, or refuses the operation; ``functional.embedding``
    needs none and is as fast. A GPU keeps its faster sums: there, equal is up to rounding. torch
    would also fill what it allocates, in case somebody reads what nobody wrote: a twentieth of a
    step, and no sum needs it.
    """
    before = torch.are_deterministic_algorithms_enabled()
    filling: Any = torch.utils.deterministic  # Its setting is made at run time: no types know it.
    filled = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    filling.fill_uninitialized_memory = before and filled
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        filling.fill_uninitialized_memory = filled


def choose_device() -> Device:
    """Pick the device and log the choice with its reason.

    Raises:
        BadInputError: If ``torchrun`` started more processes than there are GPUs.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(own_gpu())
        # cuDNN's attention is planned anew for each shape, and no two batches here are alike.
        torch.backends.cuda.enable_cudnn_sdp(False)
        is_bf16 = torch.cuda.is_bf16_supported()
        name = torch.cuda.get_device_name()
        reason = f"found {name}, bf16 {'supported' if is_bf16 else 'not supported'}"
        chosen = Device(torch.device("cuda"), is_bf16, reason)
    else:
        reason = f"no CUDA device found; {torch.get_num_threads()} CPU threads, float32"
        chosen = Device(torch.device("cpu"), False, reason)
    logger.info("training on %s: %s", chosen.device.type, chosen.reason)
    return chosen
