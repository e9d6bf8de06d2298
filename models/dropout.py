"""Dropout that draws a byte for each value instead of a float: half the time on a CPU."""

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 256


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """``x`` with about ``share`` of its values at 0 and the others made larger, as torch's does.

    What differs, on a CPU: the share is rounded to 256ths, and the larger factor is exact for the
    rounded one. Draws from torch's global generator.

    Args:
        x: Any shape.
        share: In [0, 1).
        training: Without it ``x`` is returned as it is.
    """
    dropped = round(share * _LEVELS)
    if not training or x.device.type != "cpu" or not 0 < dropped < _LEVELS:
        return functional.dropout(x, share, training)
    # 64 random bits are one draw of the generator, and eight values' bytes.
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    bytes_ = words.view(torch.uint8)[: x.numel()].view(x.shape)
    kept = (bytes_ >= dropped).to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))
    return x * kept
