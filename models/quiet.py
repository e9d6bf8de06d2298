"""Remarks of libraries that nobody here can act upon."""

import logging


def quiet_torchao() -> None:
    """Before torchao is imported, which transformers does wherever it is installed.

    It warns of each of its libraries for CUDA that cannot be loaded, and torch of how torchao
    registers its enumerations.
    """
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
