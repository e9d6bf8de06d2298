"""A network's weights as the arrays of a model folder, and back."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from models.artifacts import Array


def arrays_of(network: nn.Module) -> dict[str, Array]:
    """Every weight and kept buffer by name."""
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


def put_arrays(network: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Put back what ``arrays_of`` gave: copied, for arrays that were read may not be written."""
    network.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    )
