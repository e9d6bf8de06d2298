"""One row of a join against what the raw events say, value by value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stack.proof import brute_force
from stack.proof.brute_force import ALL_TWINS, DAY, ENTITIES, REQUEST_VIEW, Acts, Value
from stack.proof.joins import Join

Past = Mapping[str, Mapping[str, Acts]]
"""``user_id`` and ``item_id`` → id → its events; who has none is not in it."""

Due = dict[tuple[str, str], Value]
Done = Callable[[int], None]

_STEP: Final = 2_000


@dataclass
class Difference:
    """The rows of one feature that are not what the raw events say. ``first``: one of them."""

    rows: int = 0
    first: str = ""


class Truth:
    """What the raw events say; asked twice for the same, it answers from memory."""

    def __init__(self, past: Past, *, newest: int) -> None:
        self._past = past
        self._newest = newest
        self._known: dict[tuple[str, str, int, int], dict[str, Value]] = {}

    def of(self, question: Mapping[str, Any], moment: int, *, join: Join) -> Due:
        """Every feature of one question, by (view, feature)."""
        seen, asked = (moment + join.early_us) // DAY - 1, moment // DAY
        due: Due = {}
        for view, entity in ENTITIES.items():
            for name, value in self._values(view, question[entity], seen, asked).items():
                due[view, name] = _rounded(name, value, join.unit_us)
        price, mean = question["item_price_cents"], due["user_features", "price_mean_90d"]
        last = due["user_features", "last_interaction_timestamp"]
        due[REQUEST_VIEW, "price_ratio"] = brute_force.price_ratio(price, mean)
        due[REQUEST_VIEW, "days_since_last_interaction"] = brute_force.days_since(last, moment)
        return due

    def _values(self, view: str, who: str, seen: int, asked: int) -> dict[str, Value]:
        key = (view, who, seen, asked)
        if key not in self._known:
            acts = self._past[ENTITIES[view]].get(who)
            self._known[key] = brute_force.values(
                view, acts, seen=seen, newest=self._newest, asked=asked
            )
        return self._known[key]


def differences(
    join: Join, asked: pa.Table, got: pa.Table, *, truth: Truth, done: Done
) -> dict[str, Difference]:
    """Feature (``view.name``) → how the join's answers differ; nothing for those that do not."""
    columns = {
        (view, name): _plain(got[f"{view}__{name}"])
        for view, names in ALL_TWINS.items()
        for name in names
        if f"{view}__{name}" in got.column_names
    }
    moments = asked["event_timestamp"].cast(pa.int64()).to_pylist()
    questions = asked.drop_columns(["event_timestamp"]).to_pylist()
    found: dict[str, Difference] = {}
    for row, (question, moment) in enumerate(zip(questions, moments, strict=True)):
        if row % _STEP == 0:
            done(row)
        for (view, name), due in truth.of(question, moment, join=join).items():
            if (view, name) not in columns or same(name, due, value := columns[view, name][row]):
                continue
            difference = found.setdefault(f"{view}.{name}", Difference())
            difference.rows += 1
            if not difference.first:
                who = question[ENTITIES.get(view, "user_id")]
                difference.first = _said(name, who, moment, due=due, got=value)
    done(len(questions))
    return found


def same(name: str, due: Value, got: Value) -> bool:
    """Whether a value is what it must be: to the last bit, with two exceptions.

    A bought item's weight may be the next 32-bit float: dbt adds whole billionths, so that every
    rebuild gives the same bytes. Days since a moment may differ by one microsecond: both moments
    are seconds in 64-bit floats.
    """
    if due is None or got is None:
        return due is None and got is None
    if name == "bought_item_weights":
        return len(due) == len(got) and all(map(_is_next_float, due, got))
    if name == "days_since_last_interaction":
        return abs(due - got) <= 1 / DAY
    return due == got


def _is_next_float(due: float, got: float) -> bool:
    exact = np.float32(due)
    return bool(abs(exact - np.float32(got)) <= np.spacing(exact))


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Python's values; a moment as microseconds, and the NaN that pandas makes of null as None."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    if pa.types.is_floating(column.type):
        # ``value != value`` holds for NaN alone.
        return [None if value != value else value for value in column.to_pylist()]  # noqa: PLR0124
    return column.to_pylist()


def _rounded(name: str, value: Value, unit: int) -> Value:
    is_moment = name.endswith("_timestamp") and value is not None
    return value // unit * unit if is_moment else value


def _said(name: str, who: str, moment: int, *, due: Value, got: Value) -> str:
    is_moment = name.endswith("_timestamp")
    told, held = (_shown(value, is_moment=is_moment) for value in (due, got))
    return f"{who} at {_iso(moment)} is {told} by the raw events, got {held}"


def _shown(value: Value, *, is_moment: bool) -> str:
    if is_moment and value is not None:
        return _iso(value)
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:60]} … {text[-50:]}"


def _iso(moment: int) -> str:
    # Not ``fromtimestamp``: a float does not hold the microseconds of every moment.
    return str(np.datetime64(moment, "us")) + "Z"
