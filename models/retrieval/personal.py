"""Personal frequency: what the user bought before, recent purchases counting more.

In a shop where people come back for the same things this does most of the work of the task
``any``. Recent popularity is added, for among things bought alike the one in demand comes first.
"""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import Catalog
from models.histories import require_before
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import PersonalConfig, PopularityConfig
from models.retrieval.popularity import recent_popularity


class PersonalRetriever:
    """``bought_BV`` + ``popularity_share`` × recent popularity."""

    name: ClassVar[str] = "personal"

    def __init__(self, popularity_V: npt.NDArray[np.float32], config: PersonalConfig) -> None:
        self.popularity_V = popularity_V
        self.config = config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: PersonalConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Only the popularity is learned; what a user bought comes with the batch."""
        require_before(examples, until)
        popularity = recent_popularity(examples, catalog, until=until, config=config.popularity)
        return cls(popularity, config)

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        scores_BV = batch.bought_BV.toarray().astype(np.float32)
        scores_BV += np.float32(self.config.popularity_share) * self.popularity_V
        return hide_non_items(scores_BV)

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {"popularity_V": self.popularity_V}
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        content = dict(artifact.config)
        popularity = PopularityConfig(**content.pop("popularity"))  # type: ignore[arg-type]
        config = PersonalConfig(popularity=popularity, **content)  # type: ignore[arg-type]
        return cls(artifact.tensors["popularity_V"].astype(np.float32), config)
