"""What really moved a score: the score again, with one feature group set to "as usual"."""

# B requests, C candidates, F features

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.ranking.dnn import FeatureNetwork
from models.ranking.features import group_slices


def losses_by_group(
    network: FeatureNetwork, features_BCF: Tensor, sources: Sequence[str]
) -> Mapping[str, npt.NDArray[np.float32]]:
    """Per feature group, how much of each raw score [B, C] is lost without it.

    Without: every feature of the group at its training mean. These are differences of real scores,
    so they need not add up to the score.
    """
    lost: dict[str, npt.NDArray[np.float32]] = {}
    with torch.inference_mode():
        usual_BCF = network.standardize(features_BCF)
        whole_BC = network.score_standardized(usual_BCF)
        for group, columns in group_slices(sources).items():
            without_BCF = usual_BCF.clone()
            without_BCF[:, :, columns] = 0.0
            lost[group] = (whole_BC - network.score_standardized(without_BCF)).numpy()
    return lost
