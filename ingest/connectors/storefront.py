"""What our own service logged: ``event_log/event_date=D/<worker>.jsonl``.

The folder's day is the day the service wrote the line; the event may have happened earlier (a
phone that was offline) and lands on the day it happened. Every file that grew is read again, so
that a line that came after its day was landed is found.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from domain.events import Source
from domain.schemas import LANDED
from ingest import readers
from ingest.raw import Raw, Wants, empty, every, with_own_columns


class Storefront:
    """The log at ``event_log``; a log that is not there yet has no rows."""

    source = Source.STOREFRONT

    def __init__(self, event_log: Path) -> None:
        self._event_log = event_log

    def read(self, *, day: date | None, until: date | None, wants: Wants = every) -> Iterator[Raw]:
        """Every logged line of wanted files, with the day on which it was logged."""
        schema = LANDED["storefront"]["events"]
        yield Raw("events", empty(schema))
        for folder in sorted(self._event_log.glob("event_date=*")):
            logged = date.fromisoformat(folder.name.removeprefix("event_date="))
            if until is not None and logged >= until:
                continue
            for file in filter(wants, sorted(folder.glob("*.jsonl"))):
                for rows in readers.json_lines(file):
                    whole = with_own_columns(rows, schema)
                    whole = whole.with_columns(pl.lit(logged).alias("_arrived"))
                    yield Raw("events", whole, file)
