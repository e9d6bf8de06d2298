from datetime import UTC, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.schemas import LANDED_EVENTS
from ingest.raw import with_own_columns
from ingest.rules import NAMES
from ingest.sift import judge

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


def judged(rows):
    return judge(raw(rows), table="events", schema=LANDED_EVENTS, now=NOW)


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENT, max_size=30))
def test_every_row_is_fit_or_refused_by_a_rule_on_one_day(rows):
    found = judged(rows)
    assert found.rows_in().total() == len(rows)
    assert found.refused_by_reason().total() == found.refused().height
    assert found.fit().height + found.refused().height == len(rows)
    assert set(found.refused()["reason"]) <= set(NAMES)
    assert found.fit()["event_id"].null_count() == 0


def event(**values):
    plain = {"event_type": "click", "event_timestamp": "2026-01-01", "user_id": "u", "item_id": "i"}
    return dict.fromkeys(EVENT_COLUMNS) | plain | values


def test_an_id_made_from_the_content_does_not_depend_on_how_numbers_were_written():
    one, other = event(quantity="3", propensity="0.50"), event(quantity="3.0", propensity="5e-1")
    assert judged([one, other]).fit()["event_id"].n_unique() == 1


def test_a_row_from_the_future_has_no_day_that_can_be_believed():
    assert list(judged([event(event_timestamp="2999-01-01")]).rows_in()) == [None]
