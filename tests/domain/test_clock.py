from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from domain.clock import parse_day, read_last_date, shop_now, write_last_date
from domain.errors import BadInputError

WALL = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


def test_a_live_shop_lives_on_the_wall_clock():
    assert shop_now(WALL, clock="live", last_date=date(2011, 12, 8)) == WALL


def test_a_replayed_shop_lives_on_the_day_after_the_last_landed_day():
    now = shop_now(WALL, clock="replay", last_date=date(2011, 12, 31))
    assert now == datetime(2012, 1, 1, 9, 30, tzinfo=UTC)


def test_landing_an_old_day_does_not_turn_the_clock_back(tmp_path: Path):
    write_last_date(tmp_path, date(2026, 1, 10))
    write_last_date(tmp_path, date(2026, 1, 3))
    assert read_last_date(tmp_path) == date(2026, 1, 10)


def test_before_anything_landed_there_is_no_last_day(tmp_path: Path):
    assert read_last_date(tmp_path) is None


def test_a_day_that_is_none_is_refused_in_words():
    with pytest.raises(BadInputError, match="'yesterday' is not a day: expected YYYY-MM-DD"):
        parse_day("yesterday")
