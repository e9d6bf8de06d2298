"""Published sets as this project's tables: a folder with interactions and items as Parquet.

``interactions.parquet``: ``user_id``, ``position`` (0 first) and ``item_id``; ids of any type.
``items.parquet``: ``item_id`` and optionally texts; items that only interactions know are added.

Each user's last interaction is put on one and the same day, the one before it on the day before,
and so on. Leave-one-out, the split of the published tables, then *is* our split by time: the test
is the last day, validation the day before it, and a purchase's age is how many interactions ago it
was. What the set says of real days is not used: several reviews of one day have no order there.
"""

# N interactions

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.errors import BadInputError
from domain.schemas import ITEMS, RETRIEVAL_EXAMPLES
from models.catalog import Catalog

LAST_DAY: Final = date(2000, 1, 1)
"""Where every user's last interaction stands. Any day would do."""

WEIGHT: Final = 5.0
_TITLES: Final = ("title", "name")
_TEXTS: Final = ("category", "category_path", "genres", "brand", "description", "text")


@dataclass(frozen=True)
class PublishedSet:
    """One set. ``examples``: ``RETRIEVAL_EXAMPLES``, every interaction a purchase."""

    name: str
    examples: pa.Table
    catalog: Catalog

    @property
    def test_day(self) -> date:
        """The day of every user's last interaction."""
        return LAST_DAY

    @property
    def validation_day(self) -> date:
        """The day of the interaction before it."""
        return LAST_DAY - timedelta(days=1)


def read_set(folder: Path) -> PublishedSet:
    """Read a folder of the published form.

    Raises:
        BadInputError: If a file or column is missing, an id or position is null, or a user has two
            interactions at one position.
    """
    interactions = _read(folder, "interactions", ("user_id", "position", "item_id"))
    items = _read(folder, "items", ("item_id",))
    for name in ("user_id", "position", "item_id"):
        if interactions.column(name).null_count:
            raise BadInputError(f"{folder.name}: interactions have a {name} that is null")
    return PublishedSet(
        folder.name,
        _examples(folder.name, interactions),
        _catalog(items, interactions.column("item_id")),
    )


def _read(folder: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise BadInputError(f"{folder}: no {name}.parquet; a set is interactions and items")
    table = pq.read_table(path)
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise BadInputError(f"{path}: columns {missing} are missing")
    return table


def _examples(name: str, interactions: pa.Table) -> pa.Table:
    users = interactions.column("user_id").combine_chunks().dictionary_encode()
    user_N = users.indices.to_numpy().astype(np.int64)
    position_N = interactions.column("position").to_numpy().astype(np.int64)
    order = np.lexsort((position_N, user_N))
    user_N, position_N = user_N[order], position_N[order]
    if ((user_N[1:] == user_N[:-1]) & (position_N[1:] == position_N[:-1])).any():
        raise BadInputError(f"{name}: a user has two interactions at one position")
    ends = np.cumsum(np.bincount(user_N))
    steps_back = ends[user_N] - 1 - np.arange(len(user_N))
    first = np.datetime64(LAST_DAY)
    days = first - steps_back.astype("timedelta64[D]")
    noon = days.astype("datetime64[us]") + np.timedelta64(12, "h")
    columns = {
        "user_id": users.cast(pa.string()).take(pa.array(order)),
        "item_id": interactions.column("item_id").cast(pa.string()).take(pa.array(order)),
        "event_date": pa.array(days, pa.date32()),
        "event_timestamp": pa.array(noon).cast(pa.timestamp("us", tz="UTC")),
        "weight": pa.array(np.full(len(order), WEIGHT)),
        "is_purchase": pa.array(np.ones(len(order), dtype=bool)),
    }
    return pa.table(
        {f.name: columns[f.name] for f in RETRIEVAL_EXAMPLES}, schema=RETRIEVAL_EXAMPLES
    )


def _catalog(items: pa.Table, item_ids: pa.ChunkedArray) -> Catalog:
    """Titles and what else can be read of an item; its id where it has no title."""
    named = [name for name in (*_TITLES, *_TEXTS) if name in items.column_names]
    known = pa.table({name: items.column(name).cast(pa.string()) for name in ("item_id", *named)})
    asked = pc.unique(item_ids.cast(pa.string()))
    is_known = pc.is_in(asked, value_set=known.column("item_id").combine_chunks())
    others = pa.table({"item_id": asked.filter(pc.invert(is_known))})
    rows = pa.concat_tables([known, others], promote_options="default")
    titles = [rows.column(name) for name in named if name in _TITLES]
    texts = [pc.fill_null(rows.column(name), "") for name in named if name in _TEXTS]
    told = {
        "item_id": rows.column("item_id"),
        "title": pc.coalesce(*titles, rows.column("item_id")),
        "description": pc.binary_join_element_wise(*texts, " ")
        if texts
        else pa.array([""] * len(rows)),
    }
    columns = {f.name: told.get(f.name, pa.nulls(len(rows), f.type)) for f in ITEMS}
    return Catalog.from_table(pa.table(columns))
