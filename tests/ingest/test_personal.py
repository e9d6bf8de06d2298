import json

import polars as pl
import pytest

from ingest.personal import holds, is_card_number, masked

CARDS = ["4111111111111111", "5500 0000 0000 0004", "3400-0000-0000-009", "2223000048400011"]
NOBODYS = [
    "4111111111111112",  # the check digit is wrong
    "4006381333931",  # a bar code: 13 digits
    "9780306406157",  # a book
    "1234567890123456",  # no card begins with 1
    "lamp @ home",
    "size 40 41 42 43 44 45 46 47",
]


@pytest.mark.parametrize("text", [*CARDS, "to jo@example.org", "JO.E+x@mail.example.co.uk!"])
def test_addresses_and_card_numbers_are_found_and_masked(text):
    texts = pl.Series(["lamp", text, None])
    assert holds(texts).to_list() == [False, True, False]
    assert texts[1] == text
    hidden = masked(texts)
    assert hidden[0] == "lamp"
    assert not holds(hidden).any()


@pytest.mark.parametrize("text", NOBODYS)
def test_other_numbers_are_left_alone(text):
    assert not holds(pl.Series([text])).any()
    assert masked(pl.Series([text]))[0] == text


def test_a_card_number_needs_an_issuer_and_a_check_digit():
    # 4 + 15 zeros: 4 doubled is 8, and 8 is no multiple of ten.
    assert not is_card_number("4" + "0" * 15)
    assert is_card_number("4" + "0" * 14 + "2")


def test_ten_megabytes_of_letters_are_read_in_one_pass(land, quarantined, shop, events):
    """A backtracking engine would need hours: the test would run into its time limit."""
    long = dict(events[2], query_text="x" * 10_000_000)
    land("files", shop([*events, long]))
    assert [row["reason"] for row in quarantined("files.events", "2026-01-03")] == ["text_too_long"]


def test_the_quarantine_keeps_the_row_but_not_the_number(land, quarantined, shop, events):
    search = dict(events[2], query_text="bill jo@example.org 4111111111111111")
    land("files", shop([*events, search]))
    (row,) = quarantined("files.events", "2026-01-03")
    assert row["reason"] == "personal_data"
    assert json.loads(row["row"])["query_text"] == "bill [e-mail] [card]"


def test_what_cannot_be_split_into_columns_is_masked_too(land, quarantined, shop):
    folder = shop()
    with (folder / "events.csv").open("a") as file:
        file.write("click,2026-01-01,jo@example.org,too,many,fields,here\n")
    land("files", folder)
    (row,) = quarantined("files.events")
    assert "[e-mail]" in json.loads(row["row"])["text"]


def test_a_users_id_may_be_an_address(land, landed, shop, events):
    land("files", shop([dict(events[0], user_id="jo@example.org")]))
    assert landed("files.events", "2026-01-01")["user_id"].to_pylist() == ["jo@example.org"]
