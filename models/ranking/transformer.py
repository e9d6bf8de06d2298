"""The ranking transformer: each candidate looks at the user's history and scores itself.

Source: Behavior Sequence Transformer (https://arxiv.org/abs/1905.06874) and target attention (DIN,
https://arxiv.org/abs/1706.06978). Differs: the candidate is not put into the sequence but attends
the encoded history (the history is encoded once for all candidates); an item is an id embedding
plus its projected text embedding plus its projected item features, so a new item is not a blank;
attention has a learned bias where a candidate and a history item are the same item; positions count
from the newest interaction; one learned "nothing" entry is always attended, so an empty history is
no special case. It sees no user id and no user features.
"""

# B lists, C candidates, T history, S = T + 1 with the "nothing" entry, D width, H heads, V catalog,
# U distinct items, E text embedding, I item features

import math
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from domain.schemas import HISTORY_LENGTH
from models.artifacts import load_model, save_model
from models.int8 import packed_arrays, unpacked_arrays
from models.loop import LoopConfig
from models.ranking.config import TransformerConfig
from models.weights import arrays_of, put_arrays

MODEL_NAME: Final = "ranking_transformer"


class _Attention(nn.Module):
    """Multi-head attention of queries to entries, with a bias added to its logits."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries_BQD: Tensor, entries_BSD: Tensor, bias_BHQS: Tensor) -> Tensor:
        batch, queries, width = queries_BQD.shape
        shape = (batch, -1, self.heads, width // self.heads)
        query_BHQK = self.query(queries_BQD).view(shape).transpose(1, 2)
        key_BSD, value_BSD = self.key_value(entries_BSD).chunk(2, dim=-1)
        key_BHSK = key_BSD.reshape(shape).transpose(1, 2)
        value_BHSK = value_BSD.reshape(shape).transpose(1, 2)
        attended = nnf.scaled_dot_product_attention(
            query_BHQK, key_BHSK, value_BHSK, attn_mask=bias_BHQS.to(query_BHQK.dtype)
        )
        mixed_BQD: Tensor = self.out(attended.transpose(1, 2).reshape(batch, queries, width))
        return mixed_BQD


class _Block(nn.Module):
    """Pre-norm attention and feed-forward, both with a path around them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(width)
        self.norm_entry = nn.LayerNorm(width)
        self.norm_hidden = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries_BQD: Tensor, entries_BSD: Tensor, bias_BHQS: Tensor) -> Tensor:
        attended_BQD = self.attention(
            self.norm_query(queries_BQD), self.norm_entry(entries_BSD), bias_BHQS
        )
        x_BQD = queries_BQD + self.dropout(attended_BQD)
        hidden_BQD = self.down(nnf.silu(self.up(self.norm_hidden(x_BQD))))
        out_BQD: Tensor = x_BQD + self.dropout(hidden_BQD)
        return out_BQD


class CandidateTransformer(nn.Module):
    """Scores candidates from the history alone (and what the items say of themselves)."""

    text_VE: Tensor
    mean_I: Tensor
    scale_I: Tensor
    items_VD: Tensor | None

    def __init__(self, config: TransformerConfig, text_VE: Tensor, item_feature_count: int) -> None:
        super().__init__()
        self.config = config
        self.item_feature_count = item_feature_count
        width = config.width
        # The text stands once in the run's text.safetensors, not again in these weights.
        self.register_buffer("text_VE", text_VE, persistent=False)
        self.register_buffer("items_VD", None, persistent=False)
        self.register_buffer("mean_I", torch.zeros(item_feature_count))
        self.register_buffer("scale_I", torch.ones(item_feature_count))
        self.ids = nn.Embedding(len(text_VE), width, padding_idx=0)
        self.text = nn.Linear(text_VE.shape[1], width, bias=False)
        self.item_features = nn.Linear(item_feature_count, width)
        self.positions = nn.Embedding(HISTORY_LENGTH + 1, width)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.same_item = nn.Parameter(torch.full((config.heads,), 2.0))
        self.blocks = nn.ModuleList(
            _Block(width, config.heads, config.dropout) for _ in range(config.blocks)
        )
        self.candidate_block = _Block(width, config.heads, config.dropout)
        self.norm = nn.LayerNorm(2 * width)
        self.hidden = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, 1)
        self._initialize()

    def _initialize(self) -> None:
        deviation = 1 / math.sqrt(self.config.width)
        nn.init.normal_(self.ids.weight, std=0.3 * deviation)
        nn.init.normal_(self.positions.weight, std=0.3 * deviation)
        nn.init.normal_(self.nothing, std=deviation)
        nn.init.normal_(self.text.weight, std=deviation)
        with torch.no_grad():
            self.ids.weight[0].zero_()

    def forward(self, history_BT: Tensor, candidates_BC: Tensor, features_BCI: Tensor) -> Tensor:
        """Scores [B, C].

        Args:
            history_BT: item_index, oldest → newest, left-padded with 0.
            candidates_BC: item_index; the score of padding (0) means nothing.
            features_BCI: Raw item features of the candidates.
        """
        entries_BSD, visible_B11S = self._encode(history_BT)
        standardized_BCI = ((features_BCI - self.mean_I) / self.scale_I).clamp(-5, 5)
        candidate_BCD = self._embed(candidates_BC) + self.item_features(standardized_BCI)
        same_BCS = nnf.pad(candidates_BC[:, :, None] == history_BT[:, None, :], (0, 1))
        # Adding 0 or -inf is the same as filling where hidden, at half the time.
        bias_BHCS = same_BCS[:, None] * self.same_item[None, :, None, None] + visible_B11S
        seen_BCD = self.candidate_block(candidate_BCD, entries_BSD, bias_BHCS)
        joined = self.norm(torch.cat([candidate_BCD, seen_BCD], dim=-1))
        scores_BC: Tensor = self.out(nnf.silu(self.hidden(joined))).squeeze(-1)
        return scores_BC

    def folded(self) -> Self:
        """Embed every item once, to be looked up by each request; for serving, until ``train()``.

        The same scores up to rounding: a matrix product over all items rounds otherwise than over
        some. Costs V x D floats of memory.
        """
        self.eval()
        with torch.no_grad():
            self.items_VD = self.ids.weight + self.text(self.text_VE)
        return self

    def train(self, mode: bool = True) -> Self:
        """As in torch; weights that are about to change are no longer folded."""
        if mode:
            self.items_VD = None
        return super().train(mode)

    def _embed(self, items: Tensor) -> Tensor:
        if self.items_VD is not None:
            return nnf.embedding(items, self.items_VD)
        # An item stands in many lists of a batch: project its text once.
        distinct_U, where = torch.unique(items, return_inverse=True)
        embedded_UD = self.ids(distinct_U) + self.text(self.text_VE[distinct_U])
        return nnf.embedding(where, embedded_UD)

    def _encode(self, history_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The entries that candidates attend, and 0 where one is visible, else -inf."""
        batch, length = history_BT.shape
        # Newest = 0: a longer padding on the left moves nothing.
        ages_T = torch.arange(length - 1, -1, -1, device=history_BT.device)
        history_BTD = self._embed(history_BT) + self.positions(ages_T)
        nothing_B1D = self.nothing.expand(batch, 1, -1)
        entries_BSD = torch.cat([history_BTD, nothing_B1D.to(history_BTD.dtype)], dim=1)
        hidden_BS = nnf.pad(history_BT == 0, (0, 1), value=False)
        visible_B11S = torch.zeros_like(hidden_BS, dtype=torch.float32).masked_fill(
            hidden_BS, -torch.inf
        )[:, None, None, :]
        for block in self.blocks:
            entries_BSD = block(entries_BSD, entries_BSD, visible_B11S)
        return entries_BSD, visible_B11S

    def standardize_from(self, features_NI: Tensor) -> None:
        """Take mean and deviation of training candidates' item features."""
        self.mean_I.copy_(features_NI.mean(0))
        deviation_I = features_NI.std(0, unbiased=False)
        self.scale_I.copy_(torch.where(deviation_I < 1e-6, torch.ones(()), deviation_I))

    def save(self, folder: Path) -> None:
        """Write the model folder (without the text embeddings, which the run keeps once)."""
        save_model(folder, model=MODEL_NAME, config=self._about(), tensors=arrays_of(self))

    def save_in_8_bits(self, folder: Path) -> None:
        """As ``save``, in about a quarter of the bytes; scores move by the rounding."""
        save_model(folder, model=MODEL_NAME, config=self._about(), tensors=packed_arrays(self))

    def _about(self) -> dict[str, object]:
        return {**asdict(self.config), "item_feature_count": self.item_feature_count}

    @classmethod
    def load(cls, folder: Path, *, text_VE: Tensor) -> "CandidateTransformer":
        """Read what ``save`` or ``save_in_8_bits`` wrote; both are float32 from here on."""
        artifact = load_model(folder, model=MODEL_NAME)
        content = dict(artifact.config)
        count = content.pop("item_feature_count")
        loop = content.pop("loop")
        if not isinstance(count, int) or not isinstance(loop, dict):
            raise ValueError(f"{folder}: not a {MODEL_NAME} configuration")
        config = TransformerConfig(**{**content, "loop": LoopConfig(**loop)})  # type: ignore[arg-type]
        transformer = cls(config, text_VE, count)
        put_arrays(transformer, unpacked_arrays(artifact.tensors))
        return transformer.eval()
