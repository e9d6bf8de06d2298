"""A model on disk: a folder of ``config.json`` and ``weights.safetensors``. Data, never code.

safetensors rejects a truncated file but neither a flipped bit nor NaN: weights are refused unless
finite when they are saved, and ``file_hashes`` is what a manifest compares.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from domain.errors import BadInputError
from domain.files import replacing_folder, write_json

CONFIG_NAME: Final = "config.json"
WEIGHTS_NAME: Final = "weights.safetensors"

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Artifact:
    """A loaded model folder. ``model`` names the class that wrote it."""

    model: str
    config: Mapping[str, object]
    tensors: Mapping[str, Array]


def save_model(
    folder: Path, *, model: str, config: Mapping[str, object], tensors: Mapping[str, Array]
) -> None:
    """Write a model folder atomically; the old one is replaced whole.

    Args:
        folder: Where to.
        model: The name that ``load_model`` will ask for.
        config: JSON-able; the full configuration the model was made with.
        tensors: Its weights.

    Raises:
        ValueError: If a weight is NaN or infinite.
    """
    for name, tensor in tensors.items():
        if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
            raise ValueError(f"{model}: weight {name} is not finite; nothing was saved")
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in sorted(tensors.items())}
    with replacing_folder(folder) as aside:
        write_json(aside / CONFIG_NAME, {"model": model, "config": dict(config)})
        save_file(contiguous, aside / WEIGHTS_NAME)


def load_model(folder: Path, *, model: str) -> Artifact:
    """Read a model folder.

    Raises:
        BadInputError: If it is no model folder, or another model's.
    """
    if not (folder / CONFIG_NAME).exists() or not (folder / WEIGHTS_NAME).exists():
        raise BadInputError(f"{folder} is no model folder: expected {CONFIG_NAME}, {WEIGHTS_NAME}")
    content = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    if content["model"] != model:
        raise BadInputError(f"{folder} holds the model {content['model']!r}, expected {model!r}")
    return Artifact(model, content["config"], load_file(folder / WEIGHTS_NAME))


def file_hash(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file below ``folder``, by its path relative to it, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def folder_hash(folder: Path) -> str:
    """One sha256 for all files below ``folder``: names and contents."""
    return hashlib.sha256(json.dumps(file_hashes(folder)).encode()).hexdigest()
