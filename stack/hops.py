"""One hop of the rows' way, and how it was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.audit import Break

VIEW_KEYS: Final = {
    "user_features": "user_id",
    "item_features": "item_id",
    "user_history": "user_id",
}
"""Materialized view → its entity's key; said here so that Feast need not be imported for it."""


@dataclass(frozen=True)
class Hop:
    """One hop.

    ``state``: ok, broken, waiting (for the next run of its command), not yet, not here (held
    elsewhere).
    """

    name: str
    state: str
    rows: int
    said: str
    breaks: tuple[Break, ...] = ()


def judged(name: str, rows: int, said: str, breaks: Sequence[Break], waiting: str) -> Hop:
    """Broken if there are breaks, else waiting if it says for what, else ok."""
    state = "broken" if breaks else "waiting" if waiting else "ok"
    return Hop(name, state, rows, "; ".join(filter(None, (said, waiting))), tuple(breaks))
