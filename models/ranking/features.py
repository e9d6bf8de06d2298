"""The feature network's input: what is known about each user × candidate at the user's moment.

One function for training and serving. Every feature belongs to a *group*; a reason shown to a user
names the group that contributed most, so groups are things a person understands.
"""

# B requests, C candidates, F features, K last history items, V catalog, E text embedding

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.schemas import HISTORY_LENGTH
from features.request import price_ratio
from models.batch import USER_FEATURE_NAMES, UserBatch
from models.candidates import Candidates
from models.catalog import FIRST_ITEM, Catalog
from models.ranking.items import ITEM_FEATURE_NAMES, ItemMatrix
from models.retrieval.counted import CountedRetriever

Floats = npt.NDArray[np.float32]

TASTE_LENGTH: Final = 10
"""How many of the last history items a candidate's text is compared with."""

ITEM_NAMES: Final = (*(f"item_{name}" for name in ITEM_FEATURE_NAMES), "item_price")
TREND_NAMES: Final = ("trend_7d", "trend_30d", "click_through_7d", "return_share_90d")
USER_NAMES: Final = tuple(f"user_{name}" for name in USER_FEATURE_NAMES)
HISTORY_NAMES: Final = (
    "history_length",
    "history_distinct_share",
    "history_recency",
    "history_count",
    "is_last_interaction",
)
BOUGHT_NAMES: Final = ("is_bought", "bought_weight", "bought_weight_share", "bought_item_count")
CONTENT_NAMES: Final = ("text_similarity_max", "text_similarity_mean", "category_share")
PRICE_NAMES: Final = ("price_ratio", "price_distance")
COUNTED: Final = CountedRetriever.name


def source_names(source: str) -> tuple[str, ...]:
    """The features of one retrieval source."""
    return tuple(f"{source}_{what}" for what in ("deviation", "reciprocal_rank", "has_opinion"))


def feature_groups(sources: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Each group → its features, in the order of the assembled array."""
    return MappingProxyType(
        {
            **{source: source_names(source) for source in sources},
            "item": ITEM_NAMES,
            "trend": TREND_NAMES,
            "user": USER_NAMES,
            "history": HISTORY_NAMES,
            "bought": BOUGHT_NAMES,
            "content": CONTENT_NAMES,
            "price": PRICE_NAMES,
        }
    )


def feature_names(sources: Sequence[str]) -> tuple[str, ...]:
    """All features in order."""
    return tuple(name for names in feature_groups(sources).values() for name in names)


def group_slices(sources: Sequence[str]) -> Mapping[str, slice]:
    """Each group → where its features stand."""
    slices, start = {}, 0
    for group, names in feature_groups(sources).items():
        slices[group] = slice(start, start + len(names))
        start += len(names)
    return MappingProxyType(slices)


def item_slice(sources: Sequence[str]) -> slice:
    """Where the features of the item alone stand: what the transformer reads."""
    slices = group_slices(sources)
    return slice(slices["item"].start, slices["trend"].stop)


def counted_of(features_BCF: Floats, sources: Sequence[str]) -> Floats:
    """How far each candidate stands out in the counted source, [B, C], in deviations of its list.

    0 in lists without anything that the user bought before, and everywhere without that source.

    Args:
        features_BCF: As ``Assembler.assemble`` made them.
        sources: Whose features they hold.
    """
    if COUNTED not in sources:
        return np.zeros(features_BCF.shape[:2], dtype=np.float32)
    names = feature_names(sources)
    is_bought_BC = features_BCF[:, :, names.index("is_bought")] > 0
    deviation_BC = features_BCF[:, :, names.index(f"{COUNTED}_deviation")]
    return np.where(is_bought_BC.any(axis=1, keepdims=True), deviation_BC, np.float32(0.0))


class Assembler:
    """Holds what all requests share: the catalog's categories and text embeddings."""

    def __init__(self, catalog: Catalog, text_VE: Floats) -> None:
        self._text_VE = text_VE
        self._category_V = _category_codes(catalog)

    def assemble(self, batch: UserBatch, candidates: Candidates, items: ItemMatrix) -> Floats:
        """Features [B, C, F] in the order of ``feature_names(candidates.source_names)``.

        Values at padded candidates mean nothing.
        """
        index_BC = candidates.item_index_BC
        blocks = [
            *_source_blocks(candidates),
            _item_block(items, index_BC),
            _user_block(batch, index_BC),
            _history_block(batch, index_BC),
            _bought_block(batch, index_BC),
            self._content_block(batch, index_BC),
            _price_block(batch, index_BC, items),
        ]
        return np.concatenate(blocks, axis=2, dtype=np.float32)

    def _content_block(self, batch: UserBatch, index_BC: npt.NDArray[np.int32]) -> Floats:
        last_BK = batch.history_BT[:, -TASTE_LENGTH:]
        is_item_BK = last_BK >= FIRST_ITEM
        similar_BCK = np.empty((*index_BC.shape, TASTE_LENGTH), dtype=np.float32)
        # One user at a time stays in the processor's cache: three times as fast as all at once.
        for row, (index_C, last_K) in enumerate(zip(index_BC, last_BK, strict=True)):
            similar_BCK[row] = self._text_VE[index_C] @ self._text_VE[last_K].T
        similar_BCK *= is_item_BK[:, None, :]
        # An item resembles itself perfectly: that is the history group's news, not this one's.
        similar_BCK[index_BC[:, :, None] == last_BK[:, None, :]] = 0.0
        count_B1 = np.maximum(is_item_BK.sum(axis=1, keepdims=True), 1)
        mean_BC = similar_BCK.sum(axis=2) / count_B1
        return np.stack(
            [similar_BCK.max(axis=2), mean_BC, self._category_share(batch, index_BC)], axis=2
        )

    def _category_share(self, batch: UserBatch, index_BC: npt.NDArray[np.int32]) -> Floats:
        history_BT = self._category_V[batch.history_BT]
        wanted_BC = self._category_V[index_BC]
        share_BC = np.zeros(index_BC.shape, dtype=np.float32)
        count_B1 = np.maximum((history_BT >= 0).sum(axis=1, keepdims=True), 1)
        for column in range(history_BT.shape[1]):
            category_B1 = history_BT[:, column : column + 1]
            share_BC += (wanted_BC == category_B1) & (category_B1 >= 0)
        return np.asarray(share_BC / count_B1, dtype=np.float32)


def _category_codes(catalog: Catalog) -> npt.NDArray[np.int32]:
    """A number for each category, -1 where there is none."""
    encoded = catalog.table.column("category").combine_chunks().dictionary_encode()
    codes_V = np.full(len(catalog), -1, dtype=np.int32)
    codes_V[FIRST_ITEM:] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes_V


def _source_blocks(candidates: Candidates) -> Iterator[Floats]:
    mask_BC = candidates.mask_BC
    for at in range(len(candidates.source_names)):
        scores_BC = candidates.source_scores_BCS[:, :, at].astype(np.float64)
        known_BC = mask_BC & np.isfinite(scores_BC)
        count_B1 = np.maximum(known_BC.sum(axis=1, keepdims=True), 1)
        filled_BC = np.where(known_BC, scores_BC, 0.0)
        mean_B1 = filled_BC.sum(axis=1, keepdims=True) / count_B1
        off_BC = np.where(known_BC, filled_BC - mean_B1, 0.0)
        deviation_B1 = np.sqrt((off_BC**2).sum(axis=1, keepdims=True) / count_B1)
        rank_BC = candidates.source_ranks_BCS[:, :, at]
        yield np.stack(
            [
                off_BC / np.maximum(deviation_B1, 1e-6),
                known_BC / np.sqrt(rank_BC),
                known_BC,
            ],
            axis=2,
            dtype=np.float32,
            casting="unsafe",
        )


def _squeeze(values: npt.NDArray[np.floating]) -> Floats:
    """Counts, cents and days are heavy-tailed: log1p of what is positive."""
    return np.asarray(np.log1p(np.maximum(values, 0.0)), dtype=np.float32)


def _item_block(items: ItemMatrix, index_BC: npt.NDArray[np.int32]) -> Floats:
    price_V1 = _squeeze(items.price_V)[:, None]
    per_item_VF = np.concatenate([_squeeze(items.values_VF), price_V1, _trends(items)], axis=1)
    picked_BCF: Floats = per_item_VF[index_BC]
    return picked_BCF


def _trends(items: ItemMatrix) -> Floats:
    """Whether it sells better than it used to (log ratio of rates), is clicked, comes back."""
    week, month = items.column("purchase_count_7d"), items.column("purchase_count_30d")
    quarter = items.column("purchase_count_90d")
    shown, clicked = items.column("impression_count_7d"), items.column("click_count_7d")
    returned = items.column("return_count_90d")
    return np.stack(
        [
            np.log((week / 7 + 0.1) / (month / 30 + 0.1)),
            np.log((month / 30 + 0.1) / (quarter / 90 + 0.1)),
            (clicked + 1) / (shown + 20),
            returned / (quarter + 10),
        ],
        axis=1,
        dtype=np.float32,
    )


def _user_block(batch: UserBatch, index_BC: npt.NDArray[np.int32]) -> Floats:
    squeezed_BF = _squeeze(batch.features_BF)
    shape = (*index_BC.shape, squeezed_BF.shape[1])
    return np.asarray(np.broadcast_to(squeezed_BF[:, None, :], shape))


def _history_block(batch: UserBatch, index_BC: npt.NDArray[np.int32]) -> Floats:
    history_BT = batch.history_BT
    length_B = (history_BT >= FIRST_ITEM).sum(axis=1)
    recency_BC = np.zeros(index_BC.shape, dtype=np.float32)
    count_BC = np.zeros(index_BC.shape, dtype=np.float32)
    # Oldest first, so that the newest occurrence is what stays.
    for column in range(HISTORY_LENGTH):
        is_here_BC = index_BC == history_BT[:, column : column + 1]
        is_here_BC &= index_BC >= FIRST_ITEM
        recency_BC[is_here_BC] = 1.0 / np.sqrt(HISTORY_LENGTH - column)
        count_BC += is_here_BC
    distinct_B = np.array([len(set(row[row >= FIRST_ITEM])) for row in history_BT])
    share_B = distinct_B / np.maximum(length_B, 1)
    per_user = [np.broadcast_to(v[:, None], index_BC.shape) for v in (_squeeze(length_B), share_B)]
    return np.stack(
        [*per_user, recency_BC, np.log1p(count_BC), recency_BC == 1.0],
        axis=2,
        dtype=np.float32,
        casting="unsafe",
    )


def _bought_block(batch: UserBatch, index_BC: npt.NDArray[np.int32]) -> Floats:
    rows_BC = np.broadcast_to(np.arange(len(batch))[:, None], index_BC.shape)
    picked = batch.bought_BV[rows_BC.ravel(), index_BC.ravel()]
    weight_BC = np.asarray(picked, dtype=np.float32).reshape(index_BC.shape)
    total_B1 = np.asarray(batch.bought_BV.sum(axis=1), dtype=np.float32).reshape(-1, 1)
    bought_count_B = np.diff(batch.bought_BV.indptr)
    return np.stack(
        [
            weight_BC > 0,
            _squeeze(weight_BC),
            weight_BC / np.maximum(total_B1, 1e-6),
            np.broadcast_to(_squeeze(bought_count_B)[:, None], index_BC.shape),
        ],
        axis=2,
        dtype=np.float32,
        casting="unsafe",
    )


def _price_block(batch: UserBatch, index_BC: npt.NDArray[np.int32], items: ItemMatrix) -> Floats:
    usual_B = batch.features_BF[:, USER_FEATURE_NAMES.index("price_mean_90d")]
    ratio_BC = price_ratio(items.price_V[index_BC], usual_B[:, None])
    log_BC = np.log(np.clip(ratio_BC, 1e-3, 1e3))
    return np.stack([log_BC, np.abs(log_BC)], axis=2, dtype=np.float32)
