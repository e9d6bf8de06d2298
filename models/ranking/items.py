"""Item features of one moment, for the whole catalog: one matrix held in memory."""

# V catalog, F item features

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domain.schemas import ITEM_FEATURE_TYPES
from models.batch import numeric_columns
from models.catalog import FIRST_ITEM, UNKNOWN, Catalog

ITEM_FEATURE_NAMES: Final = tuple(ITEM_FEATURE_TYPES)


@dataclass(frozen=True)
class ItemMatrix:
    """``values_VF``: ``ITEM_FEATURE_NAMES`` in order; missing = 0, timestamps as days before now.

    ``price_V``: what an item costs now, in cents: its recent mean price, else its listed one; 0
    where neither is known.
    """

    values_VF: npt.NDArray[np.float32]
    price_V: npt.NDArray[np.float32]
    now: datetime

    @classmethod
    def from_table(cls, items: pa.Table, catalog: Catalog, now: datetime) -> "ItemMatrix":
        """Make the matrix of rows with ``item_id`` and the columns of ``ITEM_FEATURE_TYPES``.

        Args:
            items: Any order; items the catalog does not know are left out, items without a row get
                zeros. Of several rows of one item the last counts.
            catalog: Whose ``item_index`` is meant.
            now: The moment, timezone-aware.

        Raises:
            ValueError: If ``now`` has no timezone.
        """
        if now.tzinfo is None:
            raise ValueError(f"now must be timezone-aware, got {now!r}")
        index_N = catalog.index_of(items.column("item_id"))
        is_known_N = index_N != UNKNOWN
        moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
        moment_N = np.full(len(items), moment)
        values_VF = np.zeros((len(catalog), len(ITEM_FEATURE_NAMES)), dtype=np.float32)
        rows_NF = numeric_columns(items, ITEM_FEATURE_NAMES, moment_N)
        values_VF[index_N[is_known_N]] = rows_NF[is_known_N]
        return cls(values_VF, _prices(values_VF, catalog), now)

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One feature of every item. Shape [V]."""
        values_V: npt.NDArray[np.float32] = self.values_VF[:, ITEM_FEATURE_NAMES.index(name)]
        return values_V


def _prices(values_VF: npt.NDArray[np.float32], catalog: Catalog) -> npt.NDArray[np.float32]:
    listed_V = np.zeros(len(catalog), dtype=np.float32)
    cents = catalog.table.column("price_cents").cast(pa.float64()).to_numpy()
    listed_V[FIRST_ITEM:] = np.nan_to_num(cents, nan=0.0)
    recent_V = values_VF[:, ITEM_FEATURE_NAMES.index("price_mean_30d")]
    return np.where(recent_V > 0, recent_V, listed_V).astype(np.float32)
