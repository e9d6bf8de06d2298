"""A training checkpoint: one safetensors file, its header the rest of the state as JSON.

One file, so that replacing it is atomic; safetensors, so that reading it runs nobody's code.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from domain.files import replacing_file


def write(
    path: Path,
    *,
    model: nn.Module,
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    content: Mapping[str, object],
) -> None:
    """Write the checkpoint atomically.

    Args:
        path: Where to.
        model: Its present weights are kept under ``model.``.
        best: The best weights so far, under ``best.``.
        optimizer: Its moments, under ``optimizer.<parameter number>.``.
        content: JSON-able; comes back from ``header``.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
    # clone: safetensors refuses tensors that share memory (tied weights do).
    flat = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing_file(path) as aside:
        save_file(flat, aside, metadata={"state": json.dumps(content)})


def header(path: Path) -> dict[str, Any]:
    """The JSON content of a checkpoint."""
    with safe_open(path, framework="pt") as file:
        content: dict[str, Any] = json.loads(file.metadata()["state"])
    return content


def restore(path: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Put model and optimizer back to where they were; returns the best weights."""
    tensors = load_file(path)
    model.load_state_dict(_below(tensors, "model."))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer.").items():
        number, key = name.split(".", 1)
        moments.setdefault(int(number), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return _below(tensors, "best.")


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
