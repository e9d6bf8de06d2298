"""A transformer over item history that also knows what a user bought, and how often.

Source: SASRec (Kang and McAuley 2018, https://arxiv.org/abs/1808.09781) with pre-norm blocks and
SwiGLU, as in eSASRec (https://arxiv.org/abs/2508.06450). What differs:

- An item is its id embedding plus its projected text embedding: an item nobody bought yet has a
  place from its title.
- Rotary positions: only the distance between two interactions counts, so left padding cannot. Rows
  are moved to the left inside, which makes plain causal attention right without any mask; a first
  token stands before everyone's history, so that a new user is a row as well.
- The last state is joined by the mean embedding of everything the user bought: fifty interactions
  are one order of a wholesaler.
- A repeat gate, as in RepeatNet (https://arxiv.org/abs/1812.02646): what was bought before gets
  a bonus by how much and how lately, scaled by the user's state.
- A prior: recent popularity of the moment, so that the rest learns what differs from everybody.
"""

# B users, T history length, S = T + 1 tokens, D width, H heads, V catalog, E text width, K priors

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dropout import dropout
from models.retrieval.config import SequenceConfig

ROTARY_BASE = 1_000.0


class ItemEmbedding(nn.Module):
    """Id embedding plus projected text embedding, one row per ``item_index``."""

    def __init__(self, catalog_size: int, width: int, text_VE: Tensor | None) -> None:
        super().__init__()
        self.ids = nn.Parameter(torch.randn(catalog_size, width) * 0.02)
        self.text: nn.Linear | None = None
        if text_VE is not None:
            self.register_buffer("text_VE", text_VE.float(), persistent=False)
            self.text = nn.Linear(text_VE.shape[1], width, bias=False)
            nn.init.normal_(self.text.weight, std=0.02)

    def forward(self) -> Tensor:
        """All items: [V, D]."""
        if self.text is None:
            return self.ids
        projected: Tensor = self.text(self.get_buffer("text_VE"))
        return self.ids + projected

    def rows(self, item_R: Tensor) -> Tensor:
        """Some items: [R, D]. One lookup for all that a step needs gives one gradient to add up."""
        ids_RD = functional.embedding(item_R, self.ids)
        if self.text is None:
            return ids_RD
        projected: Tensor = self.text(self.get_buffer("text_VE")[item_R])
        return ids_RD + projected

    @torch.no_grad()
    def bake(self) -> None:
        """Put the text into the ids: serving needs neither the text nor its projection."""
        self.ids.copy_(self())
        self.text = None


class Block(nn.Module):
    """Pre-norm causal attention with rotary positions, then SwiGLU."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x_BSD: Tensor, rotation_S1F: tuple[Tensor, Tensor]) -> Tensor:
        """One layer: [B, S, D] → [B, S, D]."""
        rows, steps, width = x_BSD.shape
        qkv = self.qkv(self.norm_attention(x_BSD)).view(rows, steps, 3, self.heads, -1)
        queries_keys, value = qkv.permute(2, 0, 3, 1, 4).split([2, 1])
        query, key = rotate(queries_keys, rotation_S1F)
        mixed = functional.scaled_dot_product_attention(query, key, value[0], is_causal=True)
        joined = self.out(mixed.transpose(1, 2).reshape(rows, steps, width))
        x_BSD = x_BSD + dropout(joined, self.dropout, self.training)
        up, gate = self.gate(self.norm_feed(x_BSD)).chunk(2, dim=-1)
        fed = self.down(up * functional.silu(gate))
        return x_BSD + dropout(fed, self.dropout, self.training)


class SequenceNetwork(nn.Module):
    """History and purchases in, one logit per item out."""

    def __init__(
        self, config: SequenceConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.items = ItemEmbedding(catalog_size, width, text_VE)
        self.first = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.norm_bought = nn.LayerNorm(width)
        self.query = nn.Linear(2 * width, width)
        self.repeat = nn.Linear(2 * width, 2)
        self.prior = nn.Parameter(torch.full((len(config.prior_half_lives_days),), 0.5))
        self.bias_V = nn.Parameter(torch.zeros(catalog_size))

    def forward(
        self,
        history_BT: Tensor,
        bought_BV: Tensor,
        prior_BKV: Tensor,
        columns_C: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, V], or [B, C] of the asked columns.

        Args:
            history_BT: item_index, oldest → newest, left-padded with 0.
            bought_BV: Decayed purchase weights, 0 = never bought.
            prior_BKV: Log popularity at the row's moment, per half-life; B may be 1.
            columns_C: item_index of the wanted columns; None is all.
        """
        items_VD: Tensor = self.items()
        taste_BD = self._taste(history_BT, bought_BV, items_VD)
        query_BD = self.query(taste_BD)
        bonus, strength = self.repeat(taste_BD).float().split(1, dim=1)
        bias_V: Tensor = self.bias_V
        if columns_C is not None:
            items_VD = functional.embedding(columns_C, items_VD)
            bias_V = bias_V.index_select(0, columns_C)
            bought_BV, prior_BKV = bought_BV[:, columns_C], prior_BKV[:, :, columns_C]
        logits_BV = query_BD @ items_VD.T + bias_V
        lately_BV = torch.log(bought_BV.clamp(min=1e-4))
        repeat_BV = bonus + functional.softplus(strength) * lately_BV
        prior_BV = (self.prior[:, None] * prior_BKV).sum(dim=1)
        total_BV: Tensor = logits_BV.float() + prior_BV
        return total_BV + torch.where(bought_BV > 0, repeat_BV, 0.0)

    def _taste(self, history_BT: Tensor, bought_BV: Tensor, items_VD: Tensor) -> Tensor:
        """State after the last interaction, beside the mean of what was bought: [B, 2D]."""
        lengths_B = (history_BT > 0).sum(dim=1)
        ids_BT = moved_left(history_BT, lengths_B)
        tokens_BTD = functional.embedding(ids_BT, items_VD) * self.config.width**0.5
        tokens_BTD = dropout(tokens_BTD, self.config.dropout, self.training)
        x_BSD = torch.cat([self.first.expand(len(ids_BT), 1, -1), tokens_BTD], dim=1)
        rotation = rotations(x_BSD.shape[1], self.config.width // self.config.heads, x_BSD.device)
        for block in self.blocks:
            x_BSD = block(x_BSD, rotation)
        last_BD = self.norm(x_BSD[torch.arange(len(x_BSD), device=x_BSD.device), lengths_B])
        total_B1 = bought_BV.sum(dim=1, keepdim=True).clamp(min=1e-6)
        bought_BD = self.norm_bought((bought_BV / total_B1).to(items_VD.dtype) @ items_VD)
        bought_BD = dropout(bought_BD, self.config.dropout, self.training)
        return torch.cat([last_BD, bought_BD.to(last_BD.dtype)], dim=1)


def moved_left(history_BT: Tensor, lengths_B: Tensor) -> Tensor:
    """Left-padded rows as right-padded ones, cut to the longest of the batch (but not to nothing).

    Example:
        >>> rows = torch.tensor([[0, 0, 5, 6], [0, 0, 0, 7]])
        >>> moved_left(rows, torch.tensor([2, 1])).tolist()
        [[5, 6], [7, 0]]
    """
    width = history_BT.shape[1]
    longest = max(1, int(lengths_B.max())) if len(lengths_B) else 1
    steps = torch.arange(longest, device=history_BT.device)
    at_BT = (width - lengths_B[:, None] + steps).clamp(max=width - 1)
    moved = torch.gather(history_BT.long(), 1, at_BT)
    return moved * (steps < lengths_B[:, None])


def by_length(lengths_B: Tensor) -> list[Tensor]:
    """The rows in groups, in each of which the longest has fewer than twice the shortest's items.

    Example:
        >>> [rows.tolist() for rows in by_length(torch.tensor([3, 50, 2, 0, 40, 4]))]
        [[3], [0, 2], [5], [1, 4]]
    """
    doublings_B = torch.log2(lengths_B.clamp(min=1).double()).long()
    return [
        torch.nonzero(doublings_B == each).flatten() for each in sorted(set(doublings_B.tolist()))
    ]


def rotations(steps: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position's rotation: [S, head_width / 2] each."""
    powers = torch.arange(0, head_width, 2, device=device) / head_width
    angles = torch.arange(steps, device=device)[:, None] * ROTARY_BASE**-powers
    return angles.cos(), angles.sin()


def rotate(x_BHSF: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding. Source: https://arxiv.org/abs/2104.09864."""
    cosine, sine = rotation
    even, odd = x_BHSF.chunk(2, dim=-1)
    turned = torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    return turned.to(x_BHSF.dtype)
