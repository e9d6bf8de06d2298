"""Everything that must be known of a table before one day of it lands: read, judged, put aside."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import polars as pl

from domain.files import folder_aside
from domain.schemas import LANDED
from ingest.landing import Place, holds
from ingest.ledger import Entry
from ingest.raw import Raw
from ingest.recall import Recall
from ingest.sift import judge
from ingest.spool import Spool
from ingest.staging import Staged, stage

logger = logging.getLogger(__name__)


@dataclass
class Gathered:
    """What a source has of one table.

    Attributes:
        place: Where it lands.
        spool: The rows.
        recall: Which of the source's files they are from.
        aside: A folder on the lake's disk for work on the way.
        delivered: Days that were handed over by name, or stand in files that were not read.
        known_days: Days that are odd and right, and why.
        notes: Sentences for the receipt.
        is_stated: Whether the source says anything of the table.
    """

    place: Place
    spool: Spool
    recall: Recall
    aside: Path
    delivered: set[date] = field(default_factory=set)
    known_days: dict[date, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    is_stated: bool = False

    def stage(
        self,
        days: Set[date | None],
        known: Mapping[date | None, Entry],
        *,
        always: Set[date | None] = frozenset(),
    ) -> Staged:
        """The days, whole, beside the lake; of days that it holds already only what is in them.

        Args:
            days: Of which all rows were read.
            known: What the ledger says of them.
            always: Days to write even if the lake holds the same.
        """

        def is_held(entry: Entry) -> bool:
            day = entry.event_date
            return day not in always and holds(self.place, known.get(day), entry)

        schema = LANDED[self.place.source][self.place.table]
        return stage(self.spool, days, self.aside / "staged", schema, is_held=is_held)

    def keep(self) -> None:
        """Remember what the files held. Only once all of it has landed."""
        self.recall.keep(self.spool, self.aside / "recall")


@contextmanager
def gathered(
    raws: Iterable[Raw],
    place: Place,
    *,
    recall: Recall,
    more: Callable[[], Iterable[Raw]] = tuple,
    now: datetime,
    stands: date | None = None,
) -> Iterator[Gathered]:
    """Judge all batches of a table, as long as the recall wants more.

    Args:
        raws: The batches.
        place: The table.
        recall: Asked by whoever reads the batches which files to read.
        more: Reads again, for the files that the recall has come to want.
        now: The wall clock.
        stands: The day of rows that have none of their own.
    """
    schema = LANDED[place.source][place.table]
    with folder_aside(place.lake, "landing") as aside:
        spool = Spool(aside / "spool", table=place.table, schema=schema)
        told = Gathered(place, spool, recall, aside)
        while True:
            for raw in raws:
                _add(raw, told, now=now, stands=stands)
            if not recall.goes_on(spool):
                break
            raws = more()
        recall.add_unknown(spool)
        told.delivered |= recall.reach
        told.notes += recall.notes
        for note in told.notes:
            logger.warning("%s", note)
        yield told


def _add(raw: Raw, told: Gathered, *, now: datetime, stands: date | None) -> None:
    arrived = pl.col("_arrived").fill_null(pl.lit(stands, dtype=pl.Date))
    schema = LANDED[told.place.source][raw.table]
    judged = judge(raw.rows.with_columns(arrived), table=raw.table, schema=schema, now=now)
    told.spool.add(judged, file=told.recall.note(raw, judged))
    told.delivered |= raw.delivered
    told.is_stated |= raw.is_stated
    told.known_days |= raw.known_days
    told.notes += raw.notes
