"""What our own service logged: ``event_log/event_date=D/<worker>.jsonl``.

The folder's day is the day the service wrote the line; the event may have happened earlier (a
phone that was offline) and lands on the day it happened. Every run reads the whole log, so that a
line that came after its day was landed is found.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from domain.events import Source
from domain.schemas import LANDED
from ingest import readers
from ingest.raw import Raw, empty, together, with_own_columns


class Storefront:
    """The log at ``event_log``; a log that is not there yet has no rows."""

    source = Source.STOREFRONT

    def __init__(self, event_log: Path) -> None:
        self._event_log = event_log

    def read(self, *, day: date | None, until: date | None) -> Iterator[Raw]:
        """Every logged line, with the day on which it was logged."""
        schema = LANDED["storefront"]["events"]
        frames = []
        for folder in sorted(self._event_log.glob("event_date=*")):
            logged = date.fromisoformat(folder.name.removeprefix("event_date="))
            if until is not None and logged >= until:
                continue
            for file in sorted(folder.glob("*.jsonl")):
                rows = with_own_columns(readers.json_lines(file), schema)
                frames.append(rows.with_columns(pl.lit(logged).alias("_arrived")))
        yield Raw("events", together(frames or [empty(schema)]))
