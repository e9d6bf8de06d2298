"""Complete what is being typed: titles, categories, brands and known queries, by prefix.

Every word start of every text stands in one sorted list; a binary search finds a prefix. When
nothing starts that way, the words are mended and searched once more.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from bentos.recommender.ports import Floats
from bentos.recommender.schemas import Suggestion
from bentos.recommender.spelling import Speller
from models.catalog import FIRST_ITEM, Catalog

Kind = Literal["item", "query", "category", "brand"]

_LOOKED_AT: Final = 500
_KIND_ORDER: Final[Mapping[Kind, int]] = {"query": 0, "category": 1, "brand": 2, "item": 3}


@dataclass(frozen=True)
class _Entry:
    text: str
    kind: Kind
    item_id: str | None
    weight: float


class Suggester:
    """Completions of one catalog.

    Args of ``__init__``: ``popularity_V`` orders items; ``queries`` is query → how many asked it.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        popularity_V: Floats,
        speller: Speller,
        queries: Mapping[str, int] | None = None,
    ) -> None:
        self._entries = _entries(catalog, popularity_V, queries or {})
        self._speller = speller
        starts = (
            (folded[at:], at > 0, number)
            for number, entry in enumerate(self._entries)
            for folded in (_folded(entry.text),)
            for at in _word_starts(folded)
        )
        self._starts = sorted(starts)

    def suggest(self, prefix: str, *, k: int) -> list[Suggestion]:
        """The k best completions of ``prefix``, best first."""
        found = self._starting_with(_folded(prefix), k)
        if not found:
            found = self._mended(prefix, k)
        return [
            Suggestion(text=entry.text, kind=entry.kind, item_id=entry.item_id) for entry in found
        ]

    def _mended(self, prefix: str, k: int) -> list[_Entry]:
        words = _folded(prefix).split()
        mended = self._speller.correct(words)
        return self._starting_with(" ".join(mended), k) if mended != words else []

    def _starting_with(self, prefix: str, k: int) -> list[_Entry]:
        if not prefix:
            return []
        first = bisect_left(self._starts, (prefix,))
        best: dict[int, bool] = {}
        for text, is_inside, number in self._starts[first : first + _LOOKED_AT]:
            if not text.startswith(prefix):
                break
            best[number] = best.get(number, True) and is_inside
        ordered = sorted(best, key=lambda number: self._order(number, is_inside=best[number]))
        return [self._entries[number] for number in ordered[:k]]

    def _order(self, number: int, *, is_inside: bool) -> tuple[bool, int, float, str]:
        entry = self._entries[number]
        return is_inside, _KIND_ORDER[entry.kind], -entry.weight, entry.text


def _entries(catalog: Catalog, popularity_V: Floats, queries: Mapping[str, int]) -> list[_Entry]:
    weights = np.nan_to_num(popularity_V[FIRST_ITEM:], neginf=0.0).tolist()
    rows = catalog.table.select(["item_id", "title", "category", "brand"]).to_pylist()
    entries = [_Entry(query, "query", None, float(count)) for query, count in queries.items()]
    for name in ("category", "brand"):
        totals: dict[str, float] = {}
        for row, weight in zip(rows, weights, strict=True):
            if row[name]:
                totals[row[name]] = totals.get(row[name], 0.0) + weight
        kind: Kind = "category" if name == "category" else "brand"
        entries += [_Entry(text, kind, None, weight) for text, weight in totals.items()]
    entries += [
        _Entry(row["title"], "item", row["item_id"], weight)
        for row, weight in zip(rows, weights, strict=True)
    ]
    return entries


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _word_starts(text: str) -> list[int]:
    return [at for at in range(len(text)) if at == 0 or text[at - 1] == " "]
