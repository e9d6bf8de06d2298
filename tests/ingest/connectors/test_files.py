import json

import polars as pl
import pytest

from domain.errors import BadInputError

DAY = "2026-01-01"


def test_typed_parquet_with_lists_for_values_is_refused(land, shop):
    folder = shop()
    (folder / "items.csv").unlink()
    pl.DataFrame({"item_id": [["a"]], "title": ["Lamp"]}).write_parquet(folder / "items.parquet")
    with pytest.raises(BadInputError, match="'item_id' holds List"):
        land("files", folder)


def test_csv_json_and_parquet_of_one_shop_give_the_same_lake(land, lake_bytes, lake, shop, events):
    folder = shop()
    land("files", folder)
    expected = lake_bytes()
    for form in ("events.jsonl", "events.json", "events.parquet"):
        for file in (*folder.glob("events.*"), lake / "clock.json"):
            file.unlink()
        frame = pl.DataFrame(events)
        match form:
            case "events.jsonl":
                frame.write_ndjson(folder / form)
            case "events.json":
                (folder / form).write_text(json.dumps(events))
            case _:
                moment = pl.col("event_timestamp").str.to_datetime(time_zone="UTC", time_unit="ns")
                frame.with_columns(moment).write_parquet(folder / form)
        land("files", folder)
        assert lake_bytes() == expected, form


def test_a_shops_own_event_ids_and_users_are_kept(land, landed, shop, events):
    events[0]["event_id"] = "mine-1"
    land("files", shop(events, users=[{"user_id": "u1", "country": "FR"}]))
    assert landed("files.events", DAY)["event_id"].to_pylist() == ["mine-1"]
    assert landed("files.users", DAY)["country"].to_pylist() == ["FR"]


def test_an_unfit_row_goes_to_quarantine_with_its_reason_line_and_text(
    land, quarantined, shop, events
):
    land("files", shop([*events, dict(events[0], unit_price_cents="-5")]))
    (row,) = quarantined("files.events", DAY)
    assert (row["reason"], row["line"]) == ("negative_price", 5)
    assert json.loads(row["row"])["unit_price_cents"] == "-5"


def test_rows_whose_day_nobody_knows_are_kept_too(land, quarantined, shop, events):
    broken = [dict(events[0], event_timestamp="soon"), dict(events[0], event_timestamp="2999-1-1")]
    receipt = land("files", shop([*events, *broken]))
    assert [row["reason"] for row in quarantined("files.events")] == [
        "future_timestamp",
        "unparsable_timestamp",
    ]
    assert receipt.rows_quarantined == 2


def test_ten_megabytes_nul_bytes_and_negative_prices_are_set_aside_and_the_shop_goes_on(
    land, landed, shop, events
):
    dirt = [
        dict(events[0], query_text="x" * 10_000_000),
        dict(events[0], user_id="u\x00"),
        dict(events[0], unit_price_cents="-1"),
        dict(events[0]),
    ]
    receipt = land("files", shop([*events, *dirt]))
    assert receipt.details["quarantined_by_reason"] == {
        "negative_price": 1,
        "nul_byte": 1,
        "text_too_long": 1,
    }
    assert receipt.rows_duplicate == 1
    assert landed("files.events", DAY).num_rows == 1


def test_a_row_that_became_fit_leaves_the_quarantine(land, quarantined, shop, events):
    land("files", shop([*events, dict(events[0], quantity="-1")]))
    land("files", shop([*events, dict(events[0], quantity="1")]))
    assert quarantined("files.events", DAY) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("user_id", "userid", r"missing 'user_id'; unknown 'userid' \(did you mean 'user_id'\?\)"),
        ("item_id", "thing", "missing 'item_id'; unknown 'thing'"),
        ("query_text", "query_txt", r"'query_txt' \(did you mean 'query_text'\?\)"),
    ],
)
def test_missing_and_misspelt_columns_are_named(land, shop, old, new, said):
    folder = shop()
    text = (folder / "events.csv").read_text()
    (folder / "events.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError, match=said):
        land("files", folder)


def test_a_column_nobody_knows_is_left_aside_and_named(land, shop, events):
    events[0]["weather"] = "rain"
    assert land("files", shop(events)).details["notes"] == [
        "events.csv: columns left aside: weather",
        "no users file: users are known by their id only",
    ]


def test_a_folder_without_the_tables_says_which_are_missing(land, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no file for events and items"):
        land("files", tmp_path / "empty")
    (tmp_path / "file.csv").write_text("a\n")
    with pytest.raises(BadInputError, match="expected a folder"):
        land("files", tmp_path / "file.csv")
