"""What every retriever promises: scores for the whole catalog from a ``UserBatch`` alone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domain.progress import silent
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.loop import ProgressCall

__all__ = [
    "Embeddings",
    "FitContext",
    "ProgressCall",
    "Retriever",
    "Scores",
    "Validate",
    "Watch",
    "fingerprint",
    "hide_non_items",
]

Scores = npt.NDArray[np.float32]
Embeddings = npt.NDArray[np.float32]
Validate = Callable[[Callable[[UserBatch], Scores]], float]
"""Judges a way to score users; higher is better."""
Watch = Callable[[Callable[[UserBatch], Scores]], None]
"""Is shown a way to score users."""


@dataclass(frozen=True)
class FitContext:
    """What fitting may use beside the examples.

    Attributes:
        text_VE: Text embedding of each item by ``item_index`` (``Encoder.embed_catalog``).
        validate: What decides when to stop, of users and targets that fitting does not see; None
            leaves it to the model.
        watch: Shown how a network scores users whenever a validation is due; it changes nothing,
            but may raise to end the fitting.
        checkpoint: A file to resume from after a kill; None keeps nothing.
        progress: Told where the work is.
    """

    text_VE: Embeddings | None = None
    validate: Validate | None = None
    watch: Watch | None = None
    checkpoint: Path | None = None
    progress: ProgressCall = silent


class Retriever(Protocol):
    """One way to propose items.

    ``scores`` is float32 [B, V], higher is better, ``-inf`` = no opinion (always for padding and
    unknown). The whole state is what ``save`` writes.
    """

    name: ClassVar[str]

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: object,
        context: FitContext,
    ) -> Self:
        """Learn from ``RETRIEVAL_EXAMPLES`` before ``until``; later rows are an error."""

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item for every user of the batch."""

    def save(self, folder: Path) -> None:
        """Write the model folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""


def fingerprint(
    config: object, *arrays: npt.NDArray[np.generic], text_VE: Embeddings | None
) -> str:
    """sha256 of what a training depends on: another's checkpoint is not gone on from."""
    digest = hashlib.sha256(repr(config).encode())
    for array in arrays if text_VE is None else (*arrays, text_VE):
        digest.update(array.tobytes())
    return digest.hexdigest()


def hide_non_items(scores_BV: Scores) -> Scores:
    """Set padding and unknown to ``-inf``, in place, and return the same array."""
    scores_BV[:, :FIRST_ITEM] = -np.inf
    return scores_BV
