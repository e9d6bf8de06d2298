"""Features that need the request: vectorised, and the same in Feast and in the pipeline."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

SECONDS_PER_DAY = 86_400.0

_Numbers = npt.ArrayLike
_Moments = npt.ArrayLike | datetime | Sequence[datetime | None]


def price_ratio(item_price: _Numbers, user_price_mean: _Numbers) -> npt.NDArray[np.float64]:
    """The item's price over the user's usual one; both in the same unit.

    1.0 (as usual) where either is unknown or not positive: no taste is known, none is held against
    the item.

    Example:
        >>> price_ratio([300, 300, float("nan")], [150, float("nan"), 100]).tolist()
        [2.0, 1.0, 1.0]
    """
    price, usual = np.broadcast_arrays(_numbers(item_price), _numbers(user_price_mean))
    known = (price > 0) & (usual > 0)
    return np.divide(price, usual, out=np.ones(price.shape), where=known)


def days_since(timestamp: _Moments, now: _Moments) -> npt.NDArray[np.float64]:
    """Days (fractions too) from ``timestamp`` to ``now``; NaN where either is unknown.

    Never negative: a clock that runs ahead by a second is no reason for a new kind of value.

    Args:
        timestamp: datetime64 (UTC), aware datetimes, or whole seconds since 1970.
        now: The same, one or as many.

    Example:
        >>> from datetime import UTC, datetime
        >>> last = [datetime(2011, 12, 1, 12, tzinfo=UTC), None]
        >>> days_since(last, datetime(2011, 12, 3, tzinfo=UTC)).tolist()
        [1.5, nan]
    """
    elapsed = _seconds(now) - _seconds(timestamp)
    return np.maximum(elapsed, 0.0) / SECONDS_PER_DAY


def _numbers(values: _Numbers) -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return numbers


def _seconds(moments: _Moments) -> npt.NDArray[np.float64]:
    """Seconds since 1970 as floats; NaN for None, NaT and NaN."""
    values = np.asarray(moments)
    if values.dtype.kind == "M":
        return _from_datetime64(values)
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    seconds = [_one_second(value) for value in values.ravel()]
    return np.array(seconds, dtype=np.float64).reshape(values.shape)


def _from_datetime64(values: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(values), np.nan, seconds)


def _one_second(value: object) -> float:
    # pandas' NaT is a datetime, and the only one that is not itself.
    if value is None or value != value:  # noqa: PLR0124
        return np.nan
    return value.timestamp() if isinstance(value, datetime) else float(value)  # type: ignore[arg-type]
