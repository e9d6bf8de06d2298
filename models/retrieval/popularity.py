"""Recent popularity: what everybody took in the days before the cutoff.

A serious baseline, not a straw man: at Christmas the last seven days beat many learned models.
Items that nobody took in the window follow, ordered by all-time popularity.
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
from models.histories import days_before, require_before
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import PopularityConfig


def recent_popularity(
    examples: pa.Table, catalog: Catalog, *, until: date, config: PopularityConfig
) -> npt.NDArray[np.float32]:
    """Share of the most popular item, by weight in the window; shape [V], in [0, 1].

    The order outside the window is all-time popularity, in a thousandth of the smallest step.
    """
    item_index = catalog.index_of(examples.column("item_id"))
    weights = examples.column("weight").to_numpy()
    age_days = days_before(examples, until)
    recent = np.where(age_days <= config.window_days, weights, 0.0)
    if config.half_life_days:
        recent = recent * 0.5 ** (age_days / config.half_life_days)
    counts = np.bincount(item_index, weights=recent, minlength=len(catalog))
    always = np.bincount(item_index, weights=weights, minlength=len(catalog))
    counts += 1e-3 * always / max(always.max(), 1.0)
    counts[:2] = 0.0
    return np.asarray(counts / max(counts.max(), 1e-12), dtype=np.float32)


class PopularityRetriever:
    """The same list for everyone: ``popularity_V`` in [0, 1]."""

    name: ClassVar[str] = "popularity"

    def __init__(
        self, popularity_V: npt.NDArray[np.float32], config: PopularityConfig | None = None
    ) -> None:
        self.popularity_V = popularity_V
        self.config = config or PopularityConfig()

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: PopularityConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Count the window before ``until``."""
        require_before(examples, until)
        return cls(recent_popularity(examples, catalog, until=until, config=config), config)

    def scores(self, batch: UserBatch) -> Scores:
        """The popularity of each item, the same in every row; shape [B, V]."""
        return hide_non_items(np.tile(self.popularity_V, (len(batch), 1)))

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {"popularity_V": self.popularity_V}
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        config = PopularityConfig(**artifact.config)  # type: ignore[arg-type]
        return cls(artifact.tensors["popularity_V"].astype(np.float32), config)
