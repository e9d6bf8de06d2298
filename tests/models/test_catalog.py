from datetime import date

import pyarrow as pa
import pytest

from domain.errors import BadInputError
from models.catalog import Catalog


def test_items_get_indexes_from_two_in_id_order(planted):
    shuffled = Catalog.from_table(planted.items.take(list(range(39, -1, -1))))
    assert len(shuffled) == 42
    assert shuffled.item_ids[:4].tolist() == ["", "", "i000", "i001"]
    assert shuffled.index_of(["i000", "i039", "nobody"]).tolist() == [2, 41, 1]


def test_null_and_empty_ids_are_unknown(planted):
    assert planted.catalog.index_of(pa.array([None, ""], pa.string())).tolist() == [1, 1]


def test_availability_is_inclusive_and_open_where_null(planted):
    table = planted.items.slice(0, 3)
    for name, days in (
        ("available_from_date", [None, date(2026, 1, 2), None]),
        ("available_until_date", [None, None, date(2026, 1, 2)]),
    ):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(days, pa.date32()))
    catalog = Catalog.from_table(table)
    assert catalog.available(date(2026, 1, 1)).tolist() == [False, False, True, False, True]
    assert catalog.available(date(2026, 1, 2)).tolist() == [False, False, True, True, True]
    assert catalog.available(date(2026, 1, 3)).tolist() == [False, False, True, True, False]


def test_written_catalogs_come_back_the_same(planted, tmp_path):
    planted.catalog.write(tmp_path / "catalog.parquet")
    assert Catalog.read(tmp_path / "catalog.parquet").table.equals(planted.catalog.table)


def test_the_same_item_twice_is_refused(planted):
    with pytest.raises(BadInputError, match="twice"):
        Catalog.from_table(pa.concat_tables([planted.items, planted.items.slice(0, 1)]))


def test_a_missing_column_is_named(planted):
    with pytest.raises(BadInputError, match="price_cents"):
        Catalog.from_table(planted.items.drop_columns(["price_cents"]))


def test_texts_say_title_and_category_once(planted):
    assert planted.catalog.texts[1] == "kitchen thing 1. kitchen"
