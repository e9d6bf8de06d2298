"""From a window of days to ranking lists: who came, what they were shown or took, what we propose.

A user is in a window's lists if they wanted something in it, also when nothing was known of them
before (that is what a new user's list looks like). Purchases and clicks are positives; what was
shown and left alone joins the candidates as an ``impressed`` negative; every other candidate is one
too. What retrieval missed is not added by hand: at serving it would be missed as well.
"""

# B users, V catalog

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from models.batch import UserBatch
from models.candidates import chunk_rows, not_bought, retrieve
from models.catalog import FIRST_ITEM, Catalog
from models.ranking.features import Assembler
from models.ranking.items import ItemMatrix
from models.ranking.lists import RankingLists, concatenate
from models.ranking.windows import Window
from models.retrieval.base import Retriever

logger = logging.getLogger(__name__)

LISTS_AT_ONCE: Final = 256
TASKS: Final = ("any", "new")


@dataclass(frozen=True)
class WindowEvents:
    """What B users did in a window, by ``item_index``.

    ``wanted_BV``: 2 bought, 1 clicked or carted. ``impressed_BV``: True where it was shown.
    """

    user_ids: tuple[str, ...]
    wanted_BV: sparse.csr_matrix
    impressed_BV: sparse.csr_matrix

    def take(self, rows: npt.NDArray[np.int64]) -> "WindowEvents":
        """The events of these users only."""
        ids = tuple(self.user_ids[row] for row in rows)
        return WindowEvents(ids, self.wanted_BV[rows], self.impressed_BV[rows])


def events_in(
    window: Window, *, interactions: pa.Table, shown: pa.Table, catalog: Catalog
) -> WindowEvents:
    """Collect a window's labels.

    Args:
        window: Which days.
        interactions: ``RETRIEVAL_EXAMPLES``.
        shown: ``RANKING_EXAMPLES``; only its impressions are read.
        catalog: Items it does not know are left out.
    """
    wanted = _within(interactions, window)
    impressed = _within(shown.filter(shown.column("is_impressed")), window)
    ids = tuple(sorted(pc.unique(wanted.column("user_id")).to_pylist()))
    labels = np.where(wanted.column("is_purchase").to_numpy(), 2.0, 1.0)
    return WindowEvents(
        ids,
        _strongest(wanted, labels, ids, catalog),
        _strongest(impressed, np.ones(len(impressed)), ids, catalog).astype(bool),
    )


def _within(table: pa.Table, window: Window) -> pa.Table:
    days = table.column("event_date")
    after = pc.greater_equal(days, pa.scalar(window.start, pa.date32()))
    return table.filter(pc.and_(after, pc.less(days, pa.scalar(window.end, pa.date32()))))


def _strongest(
    table: pa.Table, values: npt.NDArray[np.float64], ids: tuple[str, ...], catalog: Catalog
) -> sparse.csr_matrix:
    """The largest value of each user × item; other users and unknown items are left out."""
    row_N = pc.fill_null(
        pc.index_in(table.column("user_id"), value_set=pa.array(ids, pa.string())), -1
    ).to_numpy()
    item_N = catalog.index_of(table.column("item_id"))
    kept_N = (row_N >= 0) & (item_N >= FIRST_ITEM)
    # csr sums duplicates: order by value and keep the last of each cell instead.
    order = np.argsort(values[kept_N], kind="stable")
    cell = (row_N[kept_N].astype(np.int64) * len(catalog) + item_N[kept_N])[order]
    last_cell, last_at = np.unique(cell[::-1], return_index=True)
    best = values[kept_N][order][::-1][last_at]
    return sparse.csr_matrix(
        (best.astype(np.float32), divmod(last_cell, len(catalog))), shape=(len(ids), len(catalog))
    )


def make_lists(
    batch: UserBatch,
    events: WindowEvents,
    *,
    task: str,
    retrievers: Mapping[str, Retriever],
    assembler: Assembler,
    items: ItemMatrix,
    allowed_V: npt.NDArray[np.bool_],
    per_source: int,
) -> RankingLists:
    """The ranking lists of B users at their moment, for one task.

    Args:
        batch: The users of ``events``, in the same order, at the window's start.
        events: What they went on to do.
        task: ``any``, or ``new``: what they bought before is no candidate.
        retrievers: Fitted on nothing later than the moment.
        assembler: Makes the features.
        items: Item features at the moment.
        allowed_V: What the shop may serve at the moment.
        per_source: How many candidates each source proposes.
    """
    size = min(LISTS_AT_ONCE, chunk_rows(batch))
    parts = []
    for start in range(0, len(batch), size):
        rows = np.arange(start, min(start + size, len(batch)))
        some, happened = batch.take(rows), events.take(rows)
        candidates = retrieve(
            retrievers,
            some,
            per_source=per_source,
            allowed=allowed_V & not_bought(some) if task == "new" else allowed_V,
            also=happened.impressed_BV.toarray(),
        )
        index_BC = candidates.item_index_BC
        parts.append(
            RankingLists(
                assembler.assemble(some, candidates, items),
                some.history_BT,
                index_BC,
                np.take_along_axis(happened.wanted_BV.toarray(), index_BC, axis=1),
            )
        )
    lists = concatenate(parts)
    found = int((lists.labels_LC > 0).sum())
    logger.info(
        "%s: %d lists of up to %d candidates; retrieval found %d of %d wanted items (%.0f %%)",
        task, len(lists), lists.item_index_LC.shape[1], found, events.wanted_BV.nnz,
        100.0 * found / max(events.wanted_BV.nnz, 1),
    )  # fmt: skip
    return lists
