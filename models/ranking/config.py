"""How the rankers are built and trained."""

from dataclasses import dataclass, replace
from typing import Final

from models.loop import LoopConfig

_LOOP: Final = LoopConfig(epochs=6, learning_rate=2e-3, weight_decay=1e-3, final_rate_share=0.05)
_MENDING: Final = replace(_LOOP, epochs=2, learning_rate=5e-4)


@dataclass(frozen=True)
class DnnConfig:
    """``widths``: hidden layers. ``pointwise_weight``: share of BCE beside the listwise loss.

    ``members``: networks that are trained apart, each from another seed, and averaged.
    """

    widths: tuple[int, ...] = (128, 64)
    dropout: float = 0.1
    pointwise_weight: float = 0.2
    batch_lists: int = 32
    loop: LoopConfig = _LOOP
    members: int = 1


@dataclass(frozen=True)
class TransformerConfig:
    """``width`` of every embedding; ``blocks`` over the history before candidates attend it."""

    width: int = 48
    heads: int = 2
    blocks: int = 1
    dropout: float = 0.1
    pointwise_weight: float = 0.2
    batch_lists: int = 32
    loop: LoopConfig = _LOOP


@dataclass(frozen=True)
class TwoTowersConfig:
    """``width``: of the vectors that are multiplied; ``hidden``: of either tower."""

    width: int = 64
    hidden: int = 128
    dropout: float = 0.1
    pointwise_weight: float = 1.0
    batch_lists: int = 32
    loop: LoopConfig = _LOOP


@dataclass(frozen=True)
class SmallerConfig:
    """How a trained ranking transformer is made smaller: a student, pruned, kept in 8 bits.

    Attributes:
        width: Of the student.
        heads: Of the student.
        blocks: Of the student, over the history.
        label_share: How much of the loss the labels keep; the rest is the teacher's scores.
        pruned_share: Of the items' id embeddings, those of the least norm, that are left out.
        loop: The student's training.
        mending: The training after pruning, in which what was pruned stays 0.
    """

    width: int = 24
    heads: int = 1
    blocks: int = 0
    label_share: float = 0.2
    pruned_share: float = 0.5
    loop: LoopConfig = _LOOP
    mending: LoopConfig = _MENDING
