"""Standardization as a part of a network, so that training and serving cannot disagree about it."""

# N rows, F features

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CLIP: Final = 5.0
"""Standardized features beyond this many deviations are cut: one absurd value is not a reason."""


class Standardized(nn.Module):
    """A network that knows the mean and deviation of each of its features."""

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, feature_count: int) -> None:
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(feature_count))
        self.register_buffer("scale_F", torch.ones(feature_count))

    def standardize_from(self, features_NF: npt.NDArray[np.float32]) -> None:
        """Take mean and deviation of training rows; a constant feature gets deviation 1."""
        mean_F = features_NF.mean(axis=0, dtype=np.float64)
        deviation_F = features_NF.std(axis=0, dtype=np.float64)
        deviation_F[deviation_F < 1e-6] = 1.0
        self.mean_F.copy_(torch.from_numpy(mean_F.astype(np.float32)))
        self.scale_F.copy_(torch.from_numpy(deviation_F.astype(np.float32)))

    def standardize(self, features: Tensor) -> Tensor:
        """Features [..., F] as deviations from the training mean: 0 means "as usual"."""
        return ((features - self.mean_F) / self.scale_F).clamp(-CLIP, CLIP)
