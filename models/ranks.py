"""Several processes that train one model together, each on its share of every batch: ``torchrun``.

Every process makes the same batches from the same seed and takes its share, so nothing but
gradients is sent. What a share's mean loss counts for is its rows over the batch's rows: the sum of
the shares is the loss of one process, and so is the curve.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from domain.errors import BadInputError


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes, on each of them."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def of_first(self, value: float) -> float:
        """The first process's number, on each of them."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=_device())
        dist.broadcast(told, src=0)
        return float(told)

    def total_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over all processes: one message for all of them."""
        if self.size == 1:
            return
        wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # A share without rows has no gradient, but the others wait for one.
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in wanted]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [parameter.numel() for parameter in wanted])
        for parameter, part in zip(wanted, parts, strict=True):
            parameter.grad = part.view_as(parameter)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """The processes that ``torchrun`` started, joined while the block runs; else this one alone.

    NCCL where the processes have GPUs, gloo on CPUs.
    """
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size())
        return
    if not dist.is_torchelastic_launched():
        yield Ranks()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def own_gpu() -> int:
    """Which GPU is this process's: of several that ``torchrun`` started each has one to itself.

    Raises:
        BadInputError: If there are fewer GPUs than processes.
    """
    if not dist.is_torchelastic_launched():
        return torch.cuda.current_device()
    number, there_are = dist.get_node_local_rank(fallback_rank=0), torch.cuda.device_count()
    if number >= there_are:
        raise BadInputError(
            f"process {number + 1} of torchrun has no GPU, there are {there_are}: start no more "
            "processes than GPUs, or hide them all (CUDA_VISIBLE_DEVICES=) to train on CPUs"
        )
    return number


def _device() -> torch.device:
    is_nccl = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if is_nccl else torch.device("cpu")


def share(rows: int, number: int, of: int) -> slice:
    """Which of ``rows`` rows are the share ``number`` of ``of``; their sizes differ by one at most.

    Example:
        >>> [share(5, number, 2) for number in range(2)]
        [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(rows * number // of, rows * (number + 1) // of)
