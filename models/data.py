"""What a training run learns from: the published marts, before its cutoff and not a row later."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from domain.errors import BadInputError
from domain.schemas import MARTS

logger = logging.getLogger(__name__)

_PREFIX: Final = "event_date="
_ORDER: Final = [
    ("event_date", "ascending"),
    ("event_timestamp", "ascending"),
    ("user_id", "ascending"),
    ("item_id", "ascending"),
]


@dataclass(frozen=True)
class TrainingData:
    """Everything before ``until``.

    Attributes:
        until: The first day not seen.
        interactions: ``RETRIEVAL_EXAMPLES``, by time, user, item.
        shown: ``RANKING_EXAMPLES``, in the same order.
        items: The last snapshot of ``ITEMS`` before ``until``, of items with an interaction.
    """

    until: date
    interactions: pa.Table
    shown: pa.Table
    items: pa.Table

    @property
    def first_day(self) -> date:
        """The first day with an interaction."""
        first: date = pc.min(self.interactions.column("event_date")).as_py()
        return first

    def hash(self) -> str:
        """sha256 (hex) of the values: the same rows give the same hash, however they were filed."""
        digest = hashlib.sha256(self.until.isoformat().encode())
        for table in (self.interactions, self.shown, self.items):
            add_table(digest, table)
        return digest.hexdigest()


def read_training_data(marts: Path, *, until: date) -> TrainingData:
    """Read the examples and the items as they were known before ``until``.

    Raises:
        BadInputError: If there are no examples or no item snapshot before it.
    """
    interactions = read_mart(marts, "retrieval_examples", before=until)
    if len(interactions) == 0:
        raise BadInputError(f"no retrieval_examples before {until} in {marts}: run vitrine build")
    shown = read_mart(marts, "ranking_examples", before=until)
    snapshot = read_snapshot(marts, "items", before=until)
    seen = pc.unique(interactions.column("item_id"))
    items = snapshot.filter(pc.is_in(snapshot.column("item_id"), value_set=seen))
    logger.info(
        "before %s: %d interactions, %d shown or bought, %d of %d items have interactions",
        until, len(interactions), len(shown), len(items), len(snapshot),
    )  # fmt: skip
    return TrainingData(until, interactions, shown, items.sort_by("item_id"))


def read_mart(marts: Path, table: str, *, before: date, since: date | None = None) -> pa.Table:
    """Rows of a mart from ``since`` up to, without, ``before``, in a fixed order.

    Raises:
        BadInputError: If the mart was never published.
    """
    schema = MARTS[table]
    files = [
        str(folder / "part.parquet")
        for day, folder in _days(marts, table)
        if day < before and (since is None or day >= since)
    ]
    if not files:
        return schema.empty_table()
    read = ds.dataset(files, schema=schema, format="parquet").to_table()
    return read.sort_by([key for key in _ORDER if key[0] in schema.names]).combine_chunks()


def read_snapshot(marts: Path, table: str, *, before: date) -> pa.Table:
    """The last whole snapshot (``users``, ``items``) of a day before ``before``.

    Raises:
        BadInputError: If there is none.
    """
    days = [(day, folder) for day, folder in _days(marts, table) if day < before]
    if not days:
        raise BadInputError(f"no snapshot of {table} before {before} in {marts}: run vitrine build")
    read = pq.ParquetFile(days[-1][1] / "part.parquet").read()
    return read.select(MARTS[table].names).cast(MARTS[table])


def _days(marts: Path, table: str) -> list[tuple[date, Path]]:
    root = marts / table
    if not root.is_dir():
        raise BadInputError(f"there is no mart {root}: run vitrine build first")
    return sorted(
        (date.fromisoformat(folder.name.removeprefix(_PREFIX)), folder)
        for folder in root.glob(f"{_PREFIX}*")
        if (folder / "part.parquet").exists()
    )


def add_table(digest: "hashlib._Hash", table: pa.Table) -> None:
    """Add a table's names, types and values, however it is held."""
    digest.update(",".join(table.column_names).encode())
    # Written anew, so that neither slices nor dictionary encodings of the reader show.
    sink = pa.BufferOutputStream()
    whole = table.combine_chunks()
    with pa.ipc.new_stream(sink, whole.schema.remove_metadata()) as writer:
        writer.write_table(whole.replace_schema_metadata(None))
    digest.update(sink.getvalue())
