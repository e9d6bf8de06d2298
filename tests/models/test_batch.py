from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from domain.schemas import TIMESTAMP, USER_FEATURE_TYPES
from models.batch import USER_FEATURE_NAMES, UserBatch

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def rows(history, bought, weights):
    return pa.table(
        {
            "user_id": [f"u{n}" for n in range(len(history))],
            "history_item_ids": pa.array(history, pa.list_(pa.string())),
            "bought_item_ids": pa.array(bought, pa.list_(pa.string())),
            "bought_item_weights": pa.array(weights, pa.list_(pa.float32())),
        }
    )


def test_history_is_left_padded_and_unknown_items_are_one(planted):
    batch = UserBatch.from_table(
        rows([["i000", "gone", "i003"], None, []], [None] * 3, [None] * 3), planted.catalog, now=NOW
    )
    assert batch.history_BT.shape == (3, 50)
    assert batch.history_BT.dtype == np.int32
    assert batch.history_BT[0, -4:].tolist() == [0, 2, 1, 5]
    assert not batch.history_BT[1:].any()


def test_only_the_last_fifty_interactions_stay(planted):
    long = [f"i{n % 40:03d}" for n in range(60)]
    batch = UserBatch.from_table(rows([long], [None], [None]), planted.catalog, now=NOW)
    assert batch.history_BT[0].tolist() == [n % 40 + 2 for n in range(10, 60)]


def test_unknown_items_are_left_out_of_what_was_bought(planted):
    table = rows([None, None], [["i001", "gone"], None], [[0.5, 9.0], None])
    bought = UserBatch.from_table(table, planted.catalog, now=NOW).bought_BV
    assert bought.shape == (2, 42)
    assert bought.nnz == 1
    assert bought[0, 3] == 0.5


def test_lists_of_different_lengths_are_refused(planted):
    with pytest.raises(ValueError, match="differ in length"):
        UserBatch.from_table(rows([None], [["i001"]], [[0.5, 1.0]]), planted.catalog, now=NOW)


def test_features_are_numbers_with_missing_zero_and_days_since(planted):
    table = rows([None, None], [None, None], [None, None])
    for name, kind in USER_FEATURE_TYPES.items():
        value = NOW - timedelta(days=3) if kind == TIMESTAMP else 4
        table = table.append_column(name, pa.array([value, None], kind))
    features = UserBatch.from_table(table, planted.catalog, now=NOW).features_BF
    assert features.dtype == np.float32
    assert features[0].tolist() == [4.0] * (len(USER_FEATURE_NAMES) - 1) + [3.0]
    assert not features[1].any()


def test_features_come_all_or_none(planted):
    table = rows([None], [None], [None])
    assert not UserBatch.from_table(table, planted.catalog, now=NOW).features_BF.any()
    with pytest.raises(ValueError, match="all or none"):
        UserBatch.from_table(
            table.append_column("click_count_7d", pa.array([1])), planted.catalog, now=NOW
        )


def test_each_row_has_its_own_moment_in_training(planted):
    stamps = pa.array([NOW, NOW - timedelta(days=1)], TIMESTAMP)
    table = rows([None, None], [None, None], [None, None]).append_column("event_timestamp", stamps)
    batch = UserBatch.from_table(table, planted.catalog)
    assert (batch.now_B[0] - batch.now_B[1]) == np.timedelta64(1, "D")
    assert batch.now == NOW


def test_a_naive_now_is_refused(planted):
    with pytest.raises(ValueError, match="timezone"):
        UserBatch.from_table(
            rows([None], [None], [None]), planted.catalog, now=datetime(2026, 1, 1)
        )
