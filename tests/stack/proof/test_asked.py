from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow.compute as pc
import pytest

from stack.proof.asked import SHARES, ask

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
NEWEST = date(2026, 1, 10)


@pytest.fixture
def events() -> pl.DataFrame:
    """One event an hour for ten days, each by another of seven users; a few without an item."""
    rows = [
        {
            "event_id": f"e{n}",
            "event_timestamp": FIRST + timedelta(hours=n, minutes=7),
            "user_id": f"u{n % 7}",
            "item_id": None if n % 11 == 0 else f"i{n % 5}",
        }
        for n in range(240)
    ]
    return pl.DataFrame(rows)


def moments(asked, kind: str) -> list[datetime]:
    return asked.filter(pc.equal(asked["kind"], kind))["event_timestamp"].to_pylist()


def test_the_same_seed_asks_the_same_and_another_something_else(events):
    first, again = (ask(events, rows=200, seed=1, newest=NEWEST) for _ in range(2))
    assert first.equals(again)
    assert ask(events.reverse(), rows=200, seed=1, newest=NEWEST).equals(first)
    assert not ask(events, rows=200, seed=2, newest=NEWEST).equals(first)


def test_every_kind_is_asked_in_its_share(events):
    asked = ask(events, rows=1_000, seed=1, newest=NEWEST)
    counts = {row["values"]: row["counts"] for row in asked["kind"].value_counts().to_pylist()}
    rest = 1_000 - sum(int(1_000 * share) for share in SHARES.values())
    assert counts == {kind: int(1_000 * share) for kind, share in SHARES.items()} | {"random": rest}
    assert asked["item_id"].null_count == 0


def test_moments_are_what_their_kind_says(events):
    asked = ask(events, rows=250, seed=1, newest=NEWEST)
    microsecond = timedelta(microseconds=1)
    happened = set(events["event_timestamp"])
    assert {
        moment - at
        for moment in moments(asked, "event")
        for at in happened
        if abs(moment - at) <= microsecond
    } == {-microsecond, timedelta(0), microsecond}
    assert {moment.strftime("%H:%M:%S") for moment in moments(asked, "last second")} == {"23:59:59"}
    # The events nearest after a midnight are those of 00:07.
    near = {moment.strftime("%H:%M") for moment in moments(asked, "first second")}
    assert near == {"00:06", "00:07", "23:59", "00:00"}
    assert max(moments(asked, "before")) < min(happened)
    assert min(moments(asked, "after")) >= datetime(2026, 1, 11, tzinfo=UTC)
