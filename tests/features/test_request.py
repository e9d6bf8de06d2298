from datetime import UTC, datetime

import numpy as np
import pandas as pd

from features.request import days_since, price_ratio


def test_a_price_twice_the_usual_one_has_ratio_two():
    assert price_ratio([300.0], [150.0]).tolist() == [2.0]


def test_an_unknown_or_senseless_price_counts_as_usual():
    ratios = price_ratio([np.nan, 100, 100, 0, -5], [100, np.nan, 0, 100, 100])
    assert ratios.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0]


def test_one_price_is_compared_with_many_users():
    assert price_ratio(200, [100, 400]).tolist() == [2.0, 0.5]


def test_days_since_takes_every_spelling_of_a_moment():
    now = datetime(2011, 12, 3, tzinfo=UTC)
    last = datetime(2011, 12, 1, 12, tzinfo=UTC)
    spellings = [
        [last],
        pd.Series([last]),
        np.array(["2011-12-01T12:00:00"], dtype="datetime64[us]"),
        np.array([last.timestamp()]),
        pd.Series([last], dtype="datetime64[us, UTC]"),
    ]
    assert [days_since(value, now).tolist() for value in spellings] == [[1.5]] * 5


def test_days_since_is_nan_where_nothing_happened_and_never_negative():
    now = np.datetime64("2011-12-03T00:00:00")
    days = days_since(np.array(["NaT", "2011-12-04"], dtype="datetime64[us]"), now)
    assert np.isnan(days[0])
    assert days[1] == 0
    assert np.isnan(days_since([None, pd.NaT], datetime(2011, 12, 3, tzinfo=UTC))).all()
