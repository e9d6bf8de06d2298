"""Content filtering: items whose texts are like the texts of what a user took.

Source: the oldest of recommenders (Pazzani and Billsus 2007,
https://doi.org/10.1007/978-3-540-72079-9_10). What differs: an item's profile is its embedding by a
sentence encoder rather than weighed keywords; the mean of all items is taken away first, because
every product text is somewhat like every other; and what a user bought counts by its age, as in the
feature store. An item that nobody took yet is scored like any other: its text is all that is asked.
"""

# B users, V catalog, E text width

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from domain.errors import BadInputError
from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import Catalog
from models.histories import require_before
from models.retrieval.base import Embeddings, FitContext, Scores, hide_non_items
from models.retrieval.config import ContentConfig
from models.retrieval.item_item import taken


class ContentRetriever:
    """Cosine between the mean of a user's items and each item; nobody's items: no opinion."""

    name: ClassVar[str] = "content"

    def __init__(self, vectors_VE: Embeddings, config: ContentConfig) -> None:
        self.vectors_VE = vectors_VE
        self.config = config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: ContentConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Centre and scale the texts' vectors; of the examples nothing is learned.

        Raises:
            BadInputError: If ``context`` has no text vectors.
        """
        require_before(examples, until)
        text_VE = (context or FitContext()).text_VE
        if text_VE is None:
            raise BadInputError("content filtering needs the vectors of the items' texts")
        has_text_V = np.linalg.norm(text_VE, axis=1) > 0
        centred_VE = np.where(has_text_V[:, None], text_VE - text_VE[has_text_V].mean(axis=0), 0.0)
        return cls(_of_length_one(centred_VE), config)

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        taken_BV = taken(batch, power=self.config.power, seen_weight=self.config.seen_weight)
        profiles_BE = _of_length_one(np.asarray(taken_BV @ self.vectors_VE))
        scores_BV: Scores = profiles_BE @ self.vectors_VE.T
        scores_BV[~profiles_BE.any(axis=1)] = -np.inf
        return hide_non_items(scores_BV)

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {"vectors_VE": self.vectors_VE}
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        config = ContentConfig(**artifact.config)  # type: ignore[arg-type]
        return cls(artifact.tensors["vectors_VE"].astype(np.float32), config)


def _of_length_one(vectors_NE: Embeddings) -> Embeddings:
    """Each row divided by its length; rows of zeros stay."""
    lengths_N1 = np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    return np.asarray(vectors_NE / np.maximum(lengths_N1, 1e-9), dtype=np.float32)
