"""The feature network: one candidate's features in, one score out.

One cross layer (DCN v2, https://arxiv.org/abs/2008.13535) beside a multilayer perceptron, with a
linear path around both. Differs: no embedding tables (ids are the transformer's business, so an
erased person leaves nothing behind here), the cross layer is of low rank, standardization is part
of the model, so that training and serving cannot disagree about it, the linear path begins as
reciprocal-rank fusion of the sources, and the score is the mean of a few such networks trained
apart, whose mistakes differ (Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474).
"""

# B lists, C candidates, F features

from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from models.artifacts import load_model, save_model
from models.loop import LoopConfig
from models.ranking.config import DnnConfig
from models.ranking.standardized import Standardized
from models.weights import arrays_of, put_arrays

MODEL_NAME: Final = "ranking_dnn"
CROSS_RANK: Final = 16
FIRST_RANK_WEIGHT: Final = 0.3
"""What one deviation of a source's reciprocal rank is worth before learning."""


class FeatureNetwork(Standardized):
    """Scores candidates from their features; each candidate alone, so padding changes nothing."""

    def __init__(self, config: DnnConfig, feature_names: tuple[str, ...]) -> None:
        width = len(feature_names)
        super().__init__(width)
        self.config = config
        self.feature_names = feature_names
        self.cross_down = nn.Linear(width, CROSS_RANK, bias=False)
        self.cross_up = nn.Linear(CROSS_RANK, width)
        layers: list[nn.Module] = []
        before = width
        for after in config.widths:
            layers += [nn.Linear(before, after), nn.SiLU(), nn.Dropout(config.dropout)]
            before = after
        self.hidden = nn.Sequential(*layers)
        self.linear = nn.Linear(width, 1)
        self.out = nn.Linear(before + width, 1)
        self._begin_as_rank_fusion()
        self.others = nn.ModuleList(
            FeatureNetwork(single(config), feature_names) for _ in range(config.members - 1)
        )

    def _begin_as_rank_fusion(self) -> None:
        """Before learning anything, add the sources' reciprocal ranks: never worse than guessing.

        A shop of a few days has too few lists to learn from; it starts from what retrieval knew.
        """
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        nn.init.normal_(self.out.weight, std=1e-2)
        nn.init.zeros_(self.out.bias)
        is_rank_F = torch.tensor([n.endswith("_reciprocal_rank") for n in self.feature_names])
        with torch.no_grad():
            self.linear.weight[:, is_rank_F] = FIRST_RANK_WEIGHT

    def forward(self, features_BCF: Tensor) -> Tensor:
        """Scores [B, C] of raw features [B, C, F]."""
        return self.score_standardized(self.standardize(features_BCF))

    def take_member(self, number: int, trained: "FeatureNetwork") -> None:
        """Take a network that was trained by itself as member ``number``, from 0."""
        if number:
            self.others[number - 1].load_state_dict(trained.state_dict())
        else:
            self.load_state_dict(trained.state_dict(), strict=False)

    def score_standardized(self, x_BCF: Tensor) -> Tensor:
        """Scores [B, C] of features that ``standardize`` made: the members' mean."""
        scores_BC = self._own_score(x_BCF)
        for other in self.others:
            scores_BC = scores_BC + other.score_standardized(x_BCF)  # type: ignore[operator]
        return scores_BC / (1 + len(self.others))

    def _own_score(self, x_BCF: Tensor) -> Tensor:
        crossed_BCF = x_BCF * self.cross_up(self.cross_down(x_BCF))
        joined_BCH = torch.cat([self.hidden(x_BCF), crossed_BCF], dim=-1)
        scores_BC: Tensor = (self.out(joined_BCH) + self.linear(x_BCF)).squeeze(-1)
        return scores_BC

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        config = {**asdict(self.config), "feature_names": list(self.feature_names)}
        save_model(folder, model=MODEL_NAME, config=config, tensors=arrays_of(self))

    @classmethod
    def load(cls, folder: Path) -> "FeatureNetwork":
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=MODEL_NAME)
        config, names = _config_of(artifact.config)
        network = cls(config, names)
        put_arrays(network, artifact.tensors)
        return network.eval()


def single(config: DnnConfig) -> DnnConfig:
    """One member's configuration."""
    return replace(config, members=1)


def _config_of(saved: object) -> tuple[DnnConfig, tuple[str, ...]]:
    if not isinstance(saved, dict):
        raise ValueError(f"{MODEL_NAME}: config is no object")
    content = dict(saved)
    names = tuple(str(name) for name in content.pop("feature_names"))
    content["widths"] = tuple(content["widths"])
    content["loop"] = LoopConfig(**content["loop"])
    return DnnConfig(**content), names
