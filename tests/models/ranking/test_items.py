from datetime import UTC, datetime

import pyarrow as pa
import pytest

from domain.schemas import ITEM_FEATURE_TYPES
from models.ranking.items import ItemMatrix

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def table(rows):
    columns = {
        name: pa.array([row.get(name) for row in rows], kind)
        for name, kind in ITEM_FEATURE_TYPES.items()
    }
    return pa.table({"item_id": [row["item_id"] for row in rows], **columns})


def test_rows_find_their_items_and_missing_ones_are_zero(planted):
    rows = [
        {"item_id": "i002", "purchase_count_7d": 3, "price_mean_30d": 55.0},
        {"item_id": "nobody knows it", "purchase_count_7d": 9},
        {"item_id": "i000", "first_sold_timestamp": datetime(2026, 2, 27, tzinfo=UTC)},
    ]
    matrix = ItemMatrix.from_table(table(rows), planted.catalog, NOW)
    sold = matrix.column("purchase_count_7d")
    assert sold[planted.catalog.index_of(["i002"])].tolist() == [3.0]
    assert sold.sum() == 3.0
    assert matrix.column("first_sold_timestamp")[2] == pytest.approx(2.0)


def test_the_price_is_the_recent_one_else_the_listed_one(planted):
    rows = [{"item_id": "i002", "price_mean_30d": 55.0}]
    matrix = ItemMatrix.from_table(table(rows), planted.catalog, NOW)
    assert matrix.price_V[planted.catalog.index_of(["i002", "i003"])].tolist() == [55.0, 103.0]
    assert matrix.price_V[:2].tolist() == [0.0, 0.0]


def test_a_moment_without_a_timezone_is_refused(planted):
    with pytest.raises(ValueError, match="timezone"):
        ItemMatrix.from_table(table([{"item_id": "i002"}]), planted.catalog, datetime(2026, 3, 1))
