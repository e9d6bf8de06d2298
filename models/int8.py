"""A network's weights in 8 bits on disk: a quarter of the bytes; a row of zeros costs one.

torchao rounds (int8, symmetric, one float32 scale a row); what it gave is kept as plain safetensors
arrays, so that whoever reads them needs neither torchao nor pickle. They are read back as float32:
at the widths of a ranker torchao's int8 products take longer than float32's (decision 18).
"""

# R rows, K rows that are kept, D width

import copy
from collections.abc import Mapping
from typing import Final

import numpy as np
from torch import nn

from models.artifacts import Array
from models.quiet import quiet_torchao

QUANTIZED: Final = (nn.Linear, nn.Embedding)
"""Modules whose ``weight`` is kept in 8 bits; biases, norms and the rest stay as they are."""
_VALUES, _SCALES, _KEPT = ".int8", ".scale", ".kept"


def packed_arrays(network: nn.Module) -> dict[str, Array]:
    """Every weight and kept buffer by name, those of ``QUANTIZED`` modules as three arrays each.

    ``<name>.int8`` [K, D] and ``<name>.scale`` float32 [K] of the rows that are not all 0, and
    ``<name>.kept`` bool [R]: which those are.
    """
    quantized = _quantized(network)
    packed: dict[str, Array] = {}
    for name, value in quantized.state_dict().items():
        if not hasattr(value, "qdata"):
            packed[name] = value.cpu().numpy()
            continue
        values_RD, scale_R = value.qdata.cpu().numpy(), value.scale.flatten().cpu().numpy()
        is_kept_R = (values_RD != 0).any(axis=1)
        packed[name + _VALUES] = values_RD[is_kept_R]
        packed[name + _SCALES] = scale_R[is_kept_R]
        packed[name + _KEPT] = is_kept_R
    return packed


def unpacked_arrays(packed: Mapping[str, Array]) -> dict[str, Array]:
    """What ``packed_arrays`` gave as float32 arrays by name; others pass as they are.

    Raises:
        ValueError: If an array's companions are missing or of another length.
    """
    arrays: dict[str, Array] = {}
    for name, value in packed.items():
        if name.endswith(_VALUES):
            whole = name.removesuffix(_VALUES)
            arrays[whole] = _unpacked(whole, value, packed)
        elif not name.endswith((_SCALES, _KEPT)):
            arrays[name] = value
    return arrays


def _unpacked(name: str, values_KD: Array, packed: Mapping[str, Array]) -> Array:
    missing = [name + end for end in (_SCALES, _KEPT) if name + end not in packed]
    if missing:
        raise ValueError(f"weight {name} is in 8 bits, but {', '.join(missing)} is missing")
    scale_K, is_kept_R = packed[name + _SCALES], packed[name + _KEPT]
    if not len(values_KD) == len(scale_K) == is_kept_R.sum():
        raise ValueError(
            f"weight {name}: {is_kept_R.sum()} rows are kept, "
            f"but {len(values_KD)} have values and {len(scale_K)} a scale"
        )
    whole_RD = np.zeros((len(is_kept_R), values_KD.shape[1]), dtype=np.float32)
    whole_RD[is_kept_R] = values_KD.astype(np.float32) * scale_K.astype(np.float32)[:, None]
    return whole_RD


def _quantized(network: nn.Module) -> nn.Module:
    """A copy whose ``QUANTIZED`` weights are torchao's int8 tensors."""
    quiet_torchao()
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    def is_wanted(module: nn.Module, name: str) -> bool:
        return isinstance(module, QUANTIZED)

    quantized = copy.deepcopy(network).cpu().eval()
    # Otherwise it sets up torch's compiler for the whole process: not ours to change.
    config = Int8WeightOnlyConfig(set_inductor_config=False)
    quantize_(quantized, config, filter_fn=is_wanted)
    return quantized
