"""Find items by words: BM25 and text embeddings, fused by reciprocal rank.

Source: Cormack et al. 2009, reciprocal rank fusion (k = 60). *What differs:* an item that only the
embeddings propose must be near enough to the query, so that a nonsense word finds nothing.
"""

# V catalog, E text embedding

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import bm25s
import numpy as np
import numpy.typing as npt

from bentos.recommender.ports import Floats, TextEncoder
from bentos.recommender.schemas import SearchRequest
from bentos.recommender.spelling import Speller, stem, words_of
from models.catalog import FIRST_ITEM, Catalog
from models.top_k import best_columns

RRF_K: Final = 60
DEPTH: Final = 200
MIN_SIMILARITY: Final = 0.35
BM25: Final = "bm25"
EMBEDDING: Final = "embedding"


@dataclass(frozen=True)
class Found:
    """Items best first, the fused score of each, and which index argued most for it."""

    items: list[int]
    scores: list[float]
    sources: list[str]
    corrected_query_text: str


def fuse(
    rankings: Sequence[Sequence[int]], *, weights: Sequence[float] | None = None
) -> dict[int, float]:
    """Reciprocal rank fusion: item → score, best first.

    Example:
        >>> fuse([[7, 8], [8]])
        {8: 0.03252247488101534, 7: 0.01639344262295082}
    """
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + weight / (RRF_K + rank)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))


class SearchIndex:
    """A catalog, ready to be searched."""

    def __init__(self, catalog: Catalog, text_VE: Floats, encoder: TextEncoder | None) -> None:
        self._catalog = catalog
        self._text_VE = text_VE
        self._encoder = encoder
        self.speller = Speller(catalog.texts)
        self._bm25 = bm25s.BM25()  # type: ignore[no-untyped-call]
        # bm25s wants at least one document and one word.
        documents = [_stems(words_of(text)) or [""] for text in catalog.texts] or [[""]]
        self._bm25.index(documents, show_progress=False)
        self._embed = lru_cache(maxsize=2048)(self._embed_query)
        self._folded = {
            name: np.array([_folded(value) for value in catalog.table.column(name).to_pylist()])
            for name in ("category", "brand")
        }
        prices = catalog.table.column("price_cents").to_numpy()
        self._prices = np.asarray(prices, dtype=np.float64)

    def search(self, request: SearchRequest, *, servable_V: npt.NDArray[np.bool_]) -> Found:
        """The k best items for the words typed that pass the filters, best first."""
        typed = words_of(request.query_text)
        words = self.speller.correct(typed)
        corrected = request.query_text if words == typed else " ".join(words)
        allowed_V = servable_V.copy()
        allowed_V[FIRST_ITEM:] &= self._passes(request)
        by_words = self._by_words(words, allowed_V)
        # The encoder knows more words than the catalog: it is asked what was typed.
        by_meaning = self._by_meaning(request.query_text, allowed_V)
        fused = fuse([by_words, by_meaning])
        best = list(fused)[: request.k]
        worded = set(by_words)
        return Found(
            items=best,
            scores=[fused[item] for item in best],
            sources=[BM25 if item in worded else EMBEDDING for item in best],
            corrected_query_text=corrected,
        )

    def _by_words(self, words: Sequence[str], allowed_V: npt.NDArray[np.bool_]) -> list[int]:
        known = _stems(word for word in words if word in self.speller)
        scores_V = np.zeros(len(self._catalog), dtype=np.float32)
        if known:
            scores_V[FIRST_ITEM:] = self._bm25.get_scores(known)
        return _best(np.where(allowed_V & (scores_V > 0), scores_V, -np.inf))

    def _by_meaning(self, text: str, allowed_V: npt.NDArray[np.bool_]) -> list[int]:
        if self._encoder is None:
            return []
        scores_V = self._text_VE @ self._embed(text)
        return _best(np.where(allowed_V & (scores_V >= MIN_SIMILARITY), scores_V, -np.inf))

    def _embed_query(self, text: str) -> Floats:
        if self._encoder is None:
            raise ValueError("there is no encoder to embed a query with")
        embedding: Floats = self._encoder.encode([text])[0]
        return embedding

    def _passes(self, request: SearchRequest) -> npt.NDArray[np.bool_]:
        passes = np.ones(len(self._prices), dtype=bool)
        for name, wanted in (("category", request.category), ("brand", request.brand)):
            if wanted is not None:
                passes &= self._folded[name] == _folded(wanted)
        # An item without a price passes no price filter: NaN compares false.
        if request.price_cents_min is not None:
            passes &= self._prices >= request.price_cents_min
        if request.price_cents_max is not None:
            passes &= self._prices <= request.price_cents_max
        return passes


def _stems(words: Iterable[str]) -> list[str]:
    return [stem(word) for word in words]


def _best(scores_V: npt.NDArray[np.float32]) -> list[int]:
    return [int(item) for item in best_columns(scores_V, k=DEPTH)]


def _folded(text: str | None) -> str:
    return (text or "").strip().casefold()
