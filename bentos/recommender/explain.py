"""Reasons that really contributed, in plain words.

An item's source is the retriever that ranks it best among the candidates. Where that is a model of
the user's history, the reason names the past item without which the score would have dropped most:
the history is scored again with each recent item left out (a counterfactual, not a look-alike).
"""

# H history items left out, V catalog

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from bentos.recommender.ports import Scorer
from models.batch import UserBatch
from models.catalog import UNKNOWN, Catalog

POPULARITY: Final = "popularity"
PERSONAL: Final = "personal"
HISTORY_LOOKED_AT: Final = 8
POPULAR: Final = "Popular this week"
BOUGHT_BEFORE: Final = "You bought it before"
NEW_TASTE: Final = "Picked for you"


@dataclass(frozen=True)
class Reason:
    """Why an item is shown, and which source argued most for it."""

    source: str
    text: str


def explain(
    row: UserBatch,
    *,
    items: Sequence[int],
    sources: Sequence[str],
    retrievers: Mapping[str, Scorer],
    catalog: Catalog,
) -> list[Reason]:
    """Reasons for one user's shown items.

    Args:
        row: The user, a batch of one.
        items: item_index of what is shown.
        sources: The best source of each.
        retrievers: name → retriever.
        catalog: For the titles.
    """
    bought = set(row.bought_BV.indices.tolist())
    history = _recent_items(row.history_BT[0])
    anchors = _Anchors(row, history, retrievers)
    reasons = []
    for item, source in zip(items, sources, strict=True):
        if item in bought:
            reasons.append(Reason(PERSONAL if PERSONAL in retrievers else source, BOUGHT_BEFORE))
        # What personal frequency proposes beyond the bought is popularity by another name.
        elif source in (POPULARITY, PERSONAL) or not history:
            reasons.append(Reason(POPULARITY, POPULAR))
        else:
            reasons.append(_because(source, anchors.of(source, item), item, bought, catalog))
    return reasons


def _because(
    source: str, anchor: int | None, item: int, bought: set[int], catalog: Catalog
) -> Reason:
    if anchor is None:
        return Reason(source, NEW_TASTE)
    title = title_of(catalog, anchor)
    if anchor == item:
        return Reason(source, "You looked at it before")
    if anchor in bought:
        return Reason(source, f"Goes with {title}, which you bought")
    return Reason(source, f"Because you looked at {title}")


def title_of(catalog: Catalog, item_index: int) -> str:
    """The item's title."""
    return str(catalog.table.column("title")[item_index - 2].as_py())


def _recent_items(history_T: npt.NDArray[np.int32]) -> list[int]:
    """The last distinct known items, newest first."""
    newest_first = history_T[::-1].tolist()
    known = [item for item in newest_first if item > UNKNOWN]
    return list(dict.fromkeys(known))[:HISTORY_LOOKED_AT]


class _Anchors:
    """The past item that carried a score most; each source is scored once, when first asked."""

    def __init__(
        self, row: UserBatch, history: Sequence[int], retrievers: Mapping[str, Scorer]
    ) -> None:
        self._row = row
        self._history = history
        self._retrievers = retrievers
        self._drops: dict[str, npt.NDArray[np.float32]] = {}

    def of(self, source: str, item: int) -> int | None:
        """The item_index whose absence costs ``item`` most; None if none of them helped it."""
        drops_H = self._drops_of(source)[:, item]
        best = int(np.nan_to_num(drops_H, nan=-np.inf).argmax())
        return self._history[best] if drops_H[best] > 0 else None

    def _drops_of(self, source: str) -> npt.NDArray[np.float32]:
        if source not in self._drops:
            scores_XV = self._retrievers[source].scores(
                _with_each_left_out(self._row, self._history)
            )
            # -inf - -inf: no opinion with or without it.
            with np.errstate(invalid="ignore"):
                self._drops[source] = scores_XV[0] - scores_XV[1:]
        return self._drops[source]


def _with_each_left_out(row: UserBatch, history: Sequence[int]) -> UserBatch:
    """Row 0: the user as they are; row h + 1: without history item h."""
    count = len(history) + 1
    batch = row.take(np.zeros(count, dtype=np.int64))
    history_BT = np.zeros_like(batch.history_BT)
    history_BT[0] = row.history_BT[0]
    bought = sparse.lil_matrix(batch.bought_BV)
    for at, item in enumerate(history, 1):
        kept = row.history_BT[0][(row.history_BT[0] != item) & (row.history_BT[0] != 0)]
        history_BT[at, history_BT.shape[1] - len(kept) :] = kept
        bought[at, item] = 0.0
    bought_BV = sparse.csr_matrix(bought, dtype=np.float32)
    bought_BV.eliminate_zeros()
    return replace(batch, history_BT=history_BT, bought_BV=bought_BV)
