"""What a source tells now against what was landed of it."""

from collections.abc import Mapping, Set
from datetime import date

from domain.errors import BadInputError
from ingest.landing import Place
from ingest.ledger import Entry
from ingest.sift import Sifted


def told_differently(sifted: Sifted, known: Mapping[date | None, Entry]) -> set[date | None]:
    """The days whose rows are not those that were landed: counts and contents are compared.

    Counting alone misses a corrected row, and an id that now stands on another day.
    """
    return {day for day, entry in sifted.entries.items() if known.get(day) != entry}


def require_no_less(
    place: Place,
    rows_in: Mapping[date | None, int],
    known: Mapping[date | None, Entry],
    days: Set[date | None],
) -> None:
    """Refuse to replace a landed day by fewer rows, unless somebody asked for that very day.

    Rows whose day is unknown are left out: they are set aside in any case.

    Raises:
        BadInputError: Naming the first such day, and how many there are.
    """
    shrunk = sorted(
        day
        for day in days
        if day is not None and day in known and rows_in.get(day, 0) < known[day].rows_in
    )
    if shrunk:
        day = shrunk[0]
        more = f" (and {len(shrunk) - 1} more days)" if len(shrunk) > 1 else ""
        raise BadInputError(
            f"{place.source}.{place.table} {day} was landed with {known[day].rows_in} rows, the "
            f"source now has {rows_in.get(day, 0)}{more}: nothing was landed. Late rows must come "
            f"with the day's others; if rows are gone on purpose, ask for that day: --day {day}"
        )
