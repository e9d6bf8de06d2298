"""What the pipeline needs of the model and of the feature store, and nothing more.

``models.recommender.Recommender`` and ``features.online.FeatureReader`` fit, so do tests' own.
"""

# B users, C candidates, V catalog, E text embedding

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domain.stamp import StoreStamp
from models.batch import UserBatch
from models.candidates import Candidates
from models.catalog import Catalog

Floats = npt.NDArray[np.float32]


class Scorer(Protocol):
    """A retriever: scores for the whole catalog."""

    def scores(self, batch: UserBatch) -> Floats:
        """float32 [B, V]; ``-inf`` = no opinion."""


class TextEncoder(Protocol):
    """Texts to L2-normalised rows."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """float32 [n, E]."""


class Model(Protocol):
    """A trained run."""

    @property
    def catalog(self) -> Catalog:
        """Every item it knows."""

    @property
    def retrievers(self) -> Mapping[str, Scorer]:
        """Name → retriever."""

    @property
    def text_VE(self) -> Floats:
        """Text embedding of every item; rows 0 and 1 are zero."""

    @property
    def encoder(self) -> TextEncoder:
        """What embedded the items."""

    def retrieve(self, batch: UserBatch, *, bought: str, day: date) -> Candidates:
        """Candidates of every user; ``bought="new"`` leaves out what was bought before."""

    def rank(
        self, batch: UserBatch, candidates: Candidates, item_features: pa.Table
    ) -> npt.NDArray[np.floating]:
        """Float [B, C], higher is better; ``item_features`` in catalog order, first item first."""


class Reader(Protocol):
    """The online feature store."""

    def users(self, user_ids: Sequence[str]) -> pa.Table:
        """user_features and user_history, a row for each id in order, nulls for the unknown."""

    def items(self, item_ids: Sequence[str]) -> pa.Table:
        """item_features, a row for each id in order, nulls for the unknown."""

    def stamp(self) -> StoreStamp:
        """What the store holds."""
