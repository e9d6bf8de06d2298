"""What a source tells now against what was landed of it."""

from collections.abc import Mapping, Set
from datetime import date

from domain.errors import BadInputError
from ingest.landing import Place
from ingest.ledger import Entry

Entries = Mapping[date | None, Entry]


def told_differently(told: Entries, known: Entries) -> set[date | None]:
    """The days whose rows are not those that were landed: counts and contents are compared.

    Counting alone misses a corrected row, and an id that now stands on another day.
    """
    return {day for day, entry in told.items() if known.get(day) != entry}


def require_no_less(
    told: Entries,
    place: Place,
    known: Entries,
    *,
    asked: Set[date],
) -> None:
    """Refuse to replace a landed day by fewer fit rows, unless somebody asked for that very day.

    Rows that are set aside may become fewer: nothing of them was landed.

    Args:
        told: What the source has now.
        place: The table.
        known: What was landed of it.
        asked: The days that may become less.

    Raises:
        BadInputError: Naming the first such day, and how many there are.
    """
    shrunk = sorted(
        day
        for day, entry in told.items()
        if day is not None and day in known and day not in asked and _fit(entry) < _fit(known[day])
    )
    if shrunk:
        day = shrunk[0]
        more = f" (and {len(shrunk) - 1} more days)" if len(shrunk) > 1 else ""
        raise BadInputError(
            f"{place.source}.{place.table} {day} was landed with {_fit(known[day])} fit rows, the "
            f"source now has {_fit(told[day])}{more}: nothing was landed. Late rows must "
            f"come with the day's others; if rows are gone on purpose, ask for the day: --day {day}"
        )


def _fit(entry: Entry) -> int:
    """Rows that were not set aside, the repeated ones counted."""
    return entry.rows_landed + entry.rows_duplicate
