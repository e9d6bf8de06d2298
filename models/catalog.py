"""The catalog: every item the models know, each with its row in every matrix.

``item_index`` 0 is padding, 1 an unknown item, items start at 2, in ``item_id`` order, so that the
same items always get the same rows.
"""

# V rows of every item matrix: items + 2

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.errors import BadInputError
from domain.files import replacing_file
from domain.schemas import ITEMS

PADDING: Final = 0
UNKNOWN: Final = 1
FIRST_ITEM: Final = 2


@dataclass(frozen=True)
class Catalog:
    """All items in ``item_index`` order; ``table`` row r is item_index r + 2."""

    table: pa.Table

    @classmethod
    def from_table(cls, items: pa.Table) -> "Catalog":
        """Make a catalog of a snapshot with the columns of ``ITEMS``; more columns are dropped.

        Raises:
            BadInputError: If a column is missing, an item_id is null or stands there twice.
        """
        missing = [name for name in ITEMS.names if name not in items.column_names]
        if missing:
            raise BadInputError(f"items: columns {missing} are missing")
        table = items.select(ITEMS.names).cast(ITEMS).sort_by("item_id").combine_chunks()
        ids = table.column("item_id")
        if ids.null_count or pc.count_distinct(ids).as_py() != len(ids):
            raise BadInputError("items: an item_id is null or stands there twice")
        return cls(table)

    def __len__(self) -> int:
        """V: the rows of every item matrix."""
        return len(self.table) + FIRST_ITEM

    @cached_property
    def item_ids(self) -> npt.NDArray[np.object_]:
        """Item ids by ``item_index``; empty for padding and unknown. Shape [V]."""
        ids = np.full(len(self), "", dtype=object)
        ids[FIRST_ITEM:] = self.table.column("item_id").to_numpy()
        return ids

    def index_of(
        self, item_ids: pa.Array | pa.ChunkedArray | Sequence[str]
    ) -> npt.NDArray[np.int32]:
        """The ``item_index`` of each id; 1 for what the catalog does not know, nulls included."""
        wanted = (
            item_ids
            if isinstance(item_ids, pa.Array | pa.ChunkedArray)
            else pa.array(item_ids, pa.string())
        )
        found = pc.index_in(wanted.cast(pa.string()), value_set=self.table.column("item_id"))
        indexes = pc.fill_null(pc.add(found, FIRST_ITEM), UNKNOWN)
        return np.asarray(indexes.to_numpy(), dtype=np.int32)

    def available(self, day: date) -> npt.NDArray[np.bool_]:
        """Which items may be served on ``day``: dates are inclusive, null is open. Shape [V]."""
        moment = pa.scalar(day, pa.date32())
        begun = pc.fill_null(pc.less_equal(self.table.column("available_from_date"), moment), True)
        going = pc.fill_null(
            pc.greater_equal(self.table.column("available_until_date"), moment), True
        )
        mask = np.zeros(len(self), dtype=bool)
        mask[FIRST_ITEM:] = pc.and_(begun, going).to_numpy(zero_copy_only=False)
        return mask

    @cached_property
    def texts(self) -> list[str]:
        """What each item says of itself, for the text encoder: title, category, brand, description.

        Parts that repeat the title are left out. In table order (item_index 2 first).
        """
        parts = [
            self.table.column(name).to_pylist()
            for name in ("title", "category", "brand", "description")
        ]
        return [
            ". ".join(dict.fromkeys(part for part in row if part))
            for row in zip(*parts, strict=True)
        ]

    def write(self, path: Path) -> None:
        """Write to a Parquet file, atomically."""
        with replacing_file(path) as aside:
            pq.write_table(self.table, aside, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> "Catalog":
        """Read what ``write`` wrote."""
        return cls.from_table(pq.read_table(path))
