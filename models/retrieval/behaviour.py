"""What a user did as a sequence, read by a recurrence (GRU) or by convolutions.

Sources: GRU4Rec (Hidasi et al. 2016, https://arxiv.org/abs/1511.06939) and NextItNet (Yuan et al.
2019, https://arxiv.org/abs/1808.05163): causal convolutions, each reaching twice as far back as the
one before. What differs of both: items have texts, the loss is that of every position over shared
negatives, and they are trained and judged as ``next_item`` is, so that only the network differs.
Each has an ablation in its config, without which its name would be all that is recurrent of it.
"""

# B rows, T history length, D width

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from models.dropout import dropout
from models.retrieval.config import ConvolutionConfig, GruConfig, NextItemConfig
from models.retrieval.next_item import HistoryNetwork, NextItemRetriever


class GruNetwork(HistoryNetwork):
    """A gated recurrence over the history."""

    config: GruConfig

    def __init__(
        self, config: NextItemConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        super().__init__(config, catalog_size, text_VE)
        self.recurrence = nn.GRU(
            config.width,
            config.width,
            num_layers=config.blocks,
            batch_first=True,
            dropout=config.dropout if config.blocks > 1 else 0.0,
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """The state after each item: [B, T, D]; see ``HistoryNetwork``."""
        rows, steps, width = tokens_BTD.shape
        x_BTD = self.entered(tokens_BTD)
        if not self.config.is_recurrent:
            x_BTD = x_BTD.reshape(rows * steps, 1, width)
        states_BTD, _ = self.recurrence(x_BTD)
        normed_BTD: Tensor = self.norm(states_BTD.reshape(rows, steps, width))
        return dropout(normed_BTD, self.config.dropout, self.training)


class _Convolution(nn.Module):
    """A causal convolution with a path around it; what is right of a position does not reach it."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.back, self.dropout = (kernel - 1) * dilation, dropout
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, 2 * width, kernel, dilation=dilation)
        self.down = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        normed_BDT = self.norm(x_BTD).transpose(1, 2)
        mixed_BDT = functional.glu(self.mix(functional.pad(normed_BDT, (self.back, 0))), dim=1)
        told_BTD = self.down(mixed_BDT.transpose(1, 2))
        return x_BTD + dropout(told_BTD, self.dropout, self.training)


class ConvolutionNetwork(HistoryNetwork):
    """Causal convolutions over the history, block by block twice as far apart."""

    config: ConvolutionConfig

    def __init__(
        self, config: NextItemConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        super().__init__(config, catalog_size, text_VE)
        self.blocks = nn.ModuleList(
            _Convolution(config.width, self.config.kernel, 2**number, config.dropout)
            for number in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)

    @property
    def reach(self) -> int:
        """How many items a state knows of, its own included."""
        steps = sum(1 << number for number in range(self.config.blocks))
        return 1 + (self.config.kernel - 1) * steps

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """The state after each item: [B, T, D]; see ``HistoryNetwork``."""
        x_BTD = self.entered(tokens_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        states_BTD: Tensor = self.norm(x_BTD)
        return states_BTD


class GruRetriever(NextItemRetriever):
    """The trained network. Who has no known item in the history gets no opinion."""

    name: ClassVar[str] = "gru"
    config_class: ClassVar[type[NextItemConfig]] = GruConfig
    network_class: ClassVar[type[HistoryNetwork]] = GruNetwork


class ConvolutionRetriever(NextItemRetriever):
    """The trained network. Who has no known item in the history gets no opinion."""

    name: ClassVar[str] = "convolution"
    config_class: ClassVar[type[NextItemConfig]] = ConvolutionConfig
    network_class: ClassVar[type[HistoryNetwork]] = ConvolutionNetwork
