"""The same seed on the same number of threads gives the same bits, however the threads run."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from models.device import repeatable, training_threads
from models.loop import LoopConfig, fit
from models.rows import TensorRows

ITEMS, ROWS, WIDTH = 4_000, 128, 64


@dataclass(frozen=True)
class LookedUp(TensorRows):
    item_BT: torch.Tensor


class Batches:
    def __len__(self):
        return 2

    def epoch(self, number):
        generator = torch.Generator().manual_seed(number)
        for _ in range(len(self)):
            yield LookedUp(torch.randint(0, ITEMS, (ROWS, 50), generator=generator))


class LookUp(nn.Module):
    """Rows of a table by plain indexing, whose gradient threads add up as they come."""

    def __init__(self):
        super().__init__()
        self.table_VD = nn.Parameter(torch.randn(ITEMS, WIDTH))

    def forward(self, item_BT):
        rows_BTD = self.table_VD[item_BT]
        return (rows_BTD * torch.linspace(0, 1, rows_BTD.numel()).view_as(rows_BTD)).sum()


def trained():
    torch.manual_seed(7)
    model = LookUp()
    fit(
        model,
        Batches(),
        lambda network, batch: network(batch.item_BT),
        config=LoopConfig(epochs=2, patience=0),
    )
    return model.table_VD.detach()


def test_two_threads_train_alike_bit_for_bit():
    with training_threads(2):
        first = trained()
        assert all(torch.equal(first, trained()) for _ in range(5))


def test_what_is_repeatable_ends_with_the_block():
    for before in (False, True):
        torch.use_deterministic_algorithms(before)
        try:
            with repeatable(torch.device("cpu")):
                assert torch.are_deterministic_algorithms_enabled()
            assert torch.are_deterministic_algorithms_enabled() == before
            with pytest.raises(RuntimeError), repeatable(torch.device("cpu")):
                raise RuntimeError
            assert torch.are_deterministic_algorithms_enabled() == before
            with repeatable(torch.device("cuda")):
                assert torch.are_deterministic_algorithms_enabled() == before
        finally:
            torch.use_deterministic_algorithms(False)
