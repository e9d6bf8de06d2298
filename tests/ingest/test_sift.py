from collections import Counter
from datetime import UTC, date, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.schemas import LANDED_EVENTS
from ingest.raw import with_own_columns
from ingest.rules import NAMES
from ingest.sift import judge, sift

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "b", "\x00", "x" * 10_001]), st.text())
MOMENTS = st.one_of(
    st.text(alphabet="0123456789-/: TZ.+", max_size=24),
    st.sampled_from(
        [
            "0-1-1",
            "262143-12-31",
            None,
            "2026-01-01",
            "2026-01-01T23:59:59.999999Z",
            "2026-01-02 00:00:00+02:00",
            "1/2/2026 8:26",
            "2999-01-01",
            "1970-01-01",
            "soon",
        ]
    ),
)
NUMBERS = st.one_of(
    st.none(), st.sampled_from(["1", "-1", "1.5", "nan", "1e99", "seven"]), st.text(max_size=4)
)
EVENT = st.fixed_dictionaries(
    {
        "event_id": st.one_of(st.none(), st.sampled_from("abc")),
        "event_type": st.sampled_from([None, "click", "search", "purchase", "dance"]),
        "event_timestamp": MOMENTS,
        "user_id": TEXTS,
        "item_id": TEXTS,
        "query_text": TEXTS,
        "quantity": NUMBERS,
        "unit_price_cents": NUMBERS,
        "propensity": NUMBERS,
        "_text": st.sampled_from([None, None, None, "{broken"]),
    }
)


def raw(rows):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(EVENT_COLUMNS, pl.String()), orient="row")
    return with_own_columns(frame, LANDED_EVENTS)


EVENT_COLUMNS = (
    "event_id",
    "event_type",
    "event_timestamp",
    "user_id",
    "item_id",
    "query_text",
    "quantity",
    "unit_price_cents",
    "propensity",
    "_text",
)


def sifted(rows):
    judged = judge(raw(rows), table="events", schema=LANDED_EVENTS, now=NOW)
    return sift(judged, set(judged.rows_in()))


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENT, max_size=30))
def test_rows_in_are_landed_plus_duplicate_plus_quarantined_on_every_day(rows):
    result = sifted(rows)
    assert sum(numbers["rows_in"] for numbers in result.counts.values()) == len(rows)
    for numbers in result.counts.values():
        parts = ("rows_landed", "rows_duplicate", "rows_quarantined")
        assert numbers["rows_in"] == sum(numbers[part] for part in parts)
        assert min(numbers.values()) >= 0
    totals = Counter()
    for numbers in result.counts.values():
        totals.update(numbers)
    assert totals["rows_landed"] == result.landed.height == result.landed["event_id"].n_unique()
    assert totals["rows_quarantined"] == result.quarantined.height
    assert set(result.quarantined["reason"]) <= set(NAMES)


@settings(max_examples=30, deadline=None)
@given(st.lists(EVENT, max_size=20), st.randoms())
def test_what_is_landed_does_not_depend_on_the_order_of_the_rows(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert sifted(rows).landed.equals(sifted(shuffled).landed)


def event(**values):
    plain = {"event_type": "click", "event_timestamp": "2026-01-01", "user_id": "u", "item_id": "i"}
    return dict.fromkeys(EVENT_COLUMNS) | plain | values


def test_the_same_line_twice_lands_once():
    assert sifted([event(), event()]).counts[date(2026, 1, 1)] == {
        "rows_in": 2,
        "rows_landed": 1,
        "rows_duplicate": 1,
        "rows_quarantined": 0,
    }


def test_of_two_rows_with_one_id_the_earlier_lands_and_the_later_counts_on_its_own_day():
    later, earlier = event(event_id="e", event_timestamp="2026-01-02"), event(event_id="e")
    result = sifted([later, earlier])
    assert result.landed["event_timestamp"].to_list() == [datetime(2026, 1, 1, tzinfo=UTC)]
    assert result.counts[date(2026, 1, 2)]["rows_duplicate"] == 1


def test_an_id_made_from_the_content_does_not_depend_on_how_numbers_were_written():
    one, other = event(quantity="3", propensity="0.50"), event(quantity="3.0", propensity="5e-1")
    assert sifted([one, other]).landed.height == 1


def test_a_row_from_the_future_has_no_day_that_can_be_believed():
    assert list(sifted([event(event_timestamp="2999-01-01")]).counts) == [None]
