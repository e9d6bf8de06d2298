"""Two towers: a user's features through one, an item's through the other, σ(w · (h(u) ⊙ m(g))).

Source: the towers of Covington et al. 2016 (https://doi.org/10.1145/2959100.2959190) under the
scorer of generalised matrix factorisation (He et al. 2017, https://arxiv.org/abs/1708.05031): the
product of the towers' vectors, element by element, weighed by a learned w, through a logistic. With
w = 1 it is the dot product. What differs: the user's tower reads what Feast says of the user and
the items of the history, never an id of the user; the item's tower reads the item's id and text and
what Feast says of the item. Each tower can be taken apart from the other: w belongs to the user's.
"""

# L lists, C candidates, T history, F features, U user features, I item features, D width,
# V catalog, E text width, H hidden

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.artifacts import load_model, save_model
from models.loop_config import LoopConfig
from models.ranking.config import TwoTowersConfig
from models.ranking.features import group_slices, item_slice
from models.ranking.standardized import Standardized
from models.weights import arrays_of, put_arrays

MODEL_NAME: Final = "two_towers"


class TwoTowers(Standardized):
    """Scores candidates; each alone, so that neither padding nor company changes anything."""

    text_VE: Tensor

    def __init__(
        self,
        config: TwoTowersConfig,
        text_VE: Tensor,
        *,
        feature_count: int,
        sources: Sequence[str],
    ) -> None:
        super().__init__(feature_count)
        self.config, self.sources = config, tuple(sources)
        self.user_columns, self.item_columns = group_slices(sources)["user"], item_slice(sources)
        width, hidden = config.width, config.hidden
        # The text stands once in the run's text.safetensors, not again in these weights.
        self.register_buffer("text_VE", text_VE, persistent=False)
        self.ids = nn.Embedding(len(text_VE), width, padding_idx=0)
        self.text = nn.Linear(text_VE.shape[1], width, bias=False)
        nn.init.normal_(self.ids.weight, std=0.1)
        with torch.no_grad():
            self.ids.weight[0].zero_()
        user_count = self.user_columns.stop - self.user_columns.start
        item_count = self.item_columns.stop - self.item_columns.start
        self.user = _tower(width + user_count, hidden, width, config.dropout)
        self.item = _tower(width + item_count, hidden, width, config.dropout)
        self.weight_D = nn.Parameter(torch.ones(width))

    def forward(self, history_LT: Tensor, item_index_LC: Tensor, features_LCF: Tensor) -> Tensor:
        """Logits [L, C]; their logistic is the probability that a candidate is wanted.

        Args:
            history_LT: item_index, oldest → newest, left-padded with 0.
            item_index_LC: The candidates; the score of padding (0) means nothing.
            features_LCF: Raw features of user × candidate, all of them.
        """
        user_LD = self.user_vectors(history_LT, features_LCF[:, 0])
        item_LCD = self.item_vectors(item_index_LC, features_LCF)
        logits_LC: Tensor = (item_LCD @ user_LD[:, :, None]).squeeze(2)
        return logits_LC

    def user_vectors(self, history_LT: Tensor, features_LF: Tensor) -> Tensor:
        """``w ⊙ h(u)`` of each user: [L, D]. Needs no candidate."""
        told_LU = self.standardize(features_LF)[:, self.user_columns]
        count_L1 = (history_LT > 0).sum(dim=1, keepdim=True).clamp(min=1)
        taste_LD = self._embedded(history_LT).sum(dim=1) / count_L1
        vectors_LD: Tensor = self.user(torch.cat([taste_LD, told_LU], dim=1)) * self.weight_D
        return vectors_LD

    def item_vectors(self, item_index_LC: Tensor, features_LCF: Tensor) -> Tensor:
        """``m(g)`` of each item: [L, C, D]. Needs no user: their columns are not read."""
        told_LCI = self.standardize(features_LCF)[..., self.item_columns]
        vectors_LCD: Tensor = self.item(torch.cat([self._embedded(item_index_LC), told_LCI], -1))
        return vectors_LCD

    def _embedded(self, items: Tensor) -> Tensor:
        """Id and text of each item; padding is nothing."""
        distinct_N, where = torch.unique(items, return_inverse=True)
        embedded_ND = self.ids(distinct_N) + self.text(self.text_VE[distinct_N])
        is_item_N1 = (distinct_N > 0)[:, None]
        return functional.embedding(where, embedded_ND * is_item_N1)

    def save(self, folder: Path) -> None:
        """Write the model folder (without the text embeddings, which the run keeps once)."""
        config = {**asdict(self.config), "sources": list(self.sources)}
        save_model(folder, model=MODEL_NAME, config=config, tensors=arrays_of(self))

    @classmethod
    def load(cls, folder: Path, *, text_VE: Tensor) -> "TwoTowers":
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=MODEL_NAME)
        content = dict(artifact.config)
        sources, loop = content.pop("sources"), content.pop("loop")
        if not isinstance(sources, list) or not isinstance(loop, dict):
            raise ValueError(f"{folder}: not a {MODEL_NAME} configuration")
        config = TwoTowersConfig(**{**content, "loop": LoopConfig(**loop)})  # type: ignore[arg-type]
        count = len(artifact.tensors["mean_F"])
        towers = cls(config, text_VE, feature_count=count, sources=sources)
        put_arrays(towers, artifact.tensors)
        return towers.eval()


def _tower(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, out)
    )
