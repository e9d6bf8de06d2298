import unicodedata

import polars as pl
import pytest

from ingest.composed import composed, is_decomposed, is_id

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))


def test_only_what_is_decomposed_is_said_to_be():
    assert COMPOSED != DECOMPOSED
    assert is_decomposed(pl.Series([COMPOSED, DECOMPOSED, "Zoe"])).to_list() == [False, True, False]
    assert is_decomposed(pl.Series(["a", None], dtype=pl.String)).to_list() == [False, False]
    assert composed(pl.Series([DECOMPOSED, None])).to_list() == [COMPOSED, None]


@pytest.mark.parametrize("name", ["user_id", "item_id", "event_id", "stock_code", "invoice_no"])
def test_names_that_other_rows_use_are_ids(name):
    assert is_id(name)
    assert not is_id("title")


def test_the_twin_of_a_users_id_is_set_aside(land, landed, quarantined, shop, events):
    twins = [dict(events[0], user_id=name) for name in (COMPOSED, DECOMPOSED)]
    land("files", shop(twins))
    assert landed("files.events", "2026-01-01")["user_id"].to_pylist() == [COMPOSED]
    (row,) = quarantined("files.events", "2026-01-01")
    assert row["reason"] == "decomposed_id"


def test_both_spellings_of_a_title_land_as_one(land, landed, shop, events):
    items = [{"item_id": "i1", "title": DECOMPOSED}, {"item_id": "i2", "title": COMPOSED}]
    land("files", shop(events, items))
    assert landed("files.items", "2026-01-01")["title"].to_pylist() == [COMPOSED, COMPOSED]
