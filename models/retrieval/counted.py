"""What counting alone knows, in one score: what was bought, what goes with it, what is in demand.

EASE, recent popularity and what the user bought, added up as they are: nothing is learned by
gradient, and no neural number means much without this one beside it. As a source it proposes what
the ranking would be without networks; the fusion leans on it (``models.fusion``), for it does not
depend on what the weeks that the networks learned from were like.
"""

# B users, V catalog

import logging
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import Catalog
from models.histories import require_before
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import CountedConfig, EaseConfig, PopularityConfig
from models.retrieval.item_item import EaseRetriever, matrix_of, taken, tensors_of
from models.retrieval.popularity import recent_popularity

logger = logging.getLogger(__name__)


class CountedRetriever:
    """log(1 + EASE + ``popularity_share`` × recent popularity + bought ** ``bought_power``)."""

    name: ClassVar[str] = "counted"

    def __init__(
        self, ease: EaseRetriever, popularity_V: npt.NDArray[np.float32], config: CountedConfig
    ) -> None:
        self.ease = ease
        self.popularity_V = popularity_V
        self.config = config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: CountedConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Where the catalog is larger than ``config.ease.most_items``, EASE says nothing."""
        require_before(examples, until)
        popularity = recent_popularity(examples, catalog, until=until, config=config.popularity)
        if len(catalog) <= config.ease.most_items:
            ease = EaseRetriever.fit(examples, catalog, until=until, config=config.ease)
        else:
            logger.info("counted: EASE is left out, too slow for %d items", len(catalog))
            nothing_VV = sparse.csr_matrix((len(catalog),) * 2, dtype=np.float32)
            ease = EaseRetriever(nothing_VV, config.ease)
        return cls(ease, popularity, config)

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        bought_BV = taken(batch, power=self.config.bought_power, seen_weight=0.0)
        total_BV = np.asarray(bought_BV.toarray(), dtype=np.float32)
        total_BV += np.float32(self.config.popularity_share) * self.popularity_V
        linked_BV = self.ease.scores(batch)
        total_BV += np.where(np.isfinite(linked_BV), linked_BV, np.float32(0.0))
        # EASE speaks against items as well. Logarithms: some buy a hundred times what others do.
        return hide_non_items(np.sign(total_BV) * np.log1p(np.abs(total_BV)))

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {"popularity_V": self.popularity_V, **tensors_of(self.ease.weights_VV)}
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        content = dict(artifact.config)
        popularity = PopularityConfig(**content.pop("popularity"))  # type: ignore[arg-type]
        ease = EaseConfig(**content.pop("ease"))  # type: ignore[arg-type]
        config = CountedConfig(popularity=popularity, ease=ease, **content)  # type: ignore[arg-type]
        return cls(
            EaseRetriever(matrix_of(artifact.tensors), ease),
            artifact.tensors["popularity_V"].astype(np.float32),
            config,
        )
