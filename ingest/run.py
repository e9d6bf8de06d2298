"""One ingest: read the source, judge, sort, land; then the same for the storefront's own events.

A history takes every day the source has before ``until`` and skips the days that the lake already
holds. A single day is replaced in any case; with it lands every other known day that the source now
tells differently: late rows, corrected ones, an id that moved to another day.

What was landed never silently becomes less: a day that nobody asked for and that has fewer rows
than when it was landed (a file that was rotated away, cut, or holds the late rows only) is refused.

An explicit day without rows is no error (a shop may be closed); which answer it is stands in the
receipt (``details.feed``), and the check decides. *Empty*: the source reaches over the day and has
no rows of it, or named it; an empty file lands. *Missing*: the source ends before the day or begins
after it; nothing lands, and what landed before stays. A history lands no such days.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby, takewhile
from operator import attrgetter
from typing import Final

from domain import accepted_days
from domain.clock import read_last_date, write_last_date
from domain.errors import BadInputError
from domain.events import SHOP_SOURCES
from domain.files import only_writer
from domain.progress import Progress, silent
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings
from ingest import ledger
from ingest.changes import require_no_less, told_differently
from ingest.connectors import open_connector
from ingest.connectors.storefront import Storefront
from ingest.gather import Gathered, gathered
from ingest.landing import Landed, Place, land
from ingest.raw import Connector, Raw
from ingest.recall import Recall
from ingest.rules import TIME_COLUMN
from ingest.staging import Staged

logger = logging.getLogger(__name__)

_MAIN: Final = frozenset(TIME_COLUMN)

HISTORY: Final = "history"
ARRIVED: Final = "arrived"
EMPTY: Final = "empty"
MISSING: Final = "missing"


@dataclass(frozen=True)
class Window:
    """Which days a run is about. ``day``: that one. Else all before ``until`` (None: all)."""

    day: date | None = None
    until: date | None = None

    @property
    def end(self) -> date | None:
        """First day that is not asked for."""
        return self.day + timedelta(days=1) if self.day else self.until

    @property
    def key(self) -> str:
        """What the receipt is filed under."""
        return self.day.isoformat() if self.day else HISTORY


@dataclass
class Tally:
    """What a run has done so far, for the receipt."""

    landed: dict[str, Landed] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    feed: str = HISTORY

    def total(self, number: str) -> int:
        """A sum over all tables."""
        return sum(one.total(number) for one in self.landed.values())


def ingest(
    settings: Settings,
    *,
    now: datetime,
    day: date | None = None,
    until: date | None = None,
    progress: Progress | None = None,
) -> Receipt:
    """Land one day, or the history before ``until``.

    Args:
        settings: Whose shop, from where, to which home.
        now: The wall clock; rows from after it are set aside.
        day: The one day to replace; None for a history.
        until: First day of a history that is not landed; None for all.
        progress: Told how far it is.

    Raises:
        BadInputError: If the source cannot be read, has no fit row at all, or the home already
            holds another shop.
    """
    watch, window, tally = Stopwatch(), Window(day, until), Tally()
    connector = open_connector(settings)
    say = progress or silent
    with only_writer(settings.lake, lock=settings.lake / "ingest.lock"):
        _require_same_shop(settings)
        say("ingest", f"reading {connector.source}")
        _read_shop(connector, window, tally, settings, now=now, progress=say)
        shop_days = tally.landed[_main_table(tally)].days
        if shop_days:
            write_last_date(settings.lake, shop_days[-1])
        _land_storefront(shop_days, tally, settings, now=now, progress=say)
    return _receipt(tally, window, settings, seconds=watch.seconds)


def _read_shop(
    connector: Connector,
    window: Window,
    tally: Tally,
    settings: Settings,
    *,
    now: datetime,
    progress: Progress,
) -> None:
    """Read table after table; each lands before the next is read."""
    source = connector.source.value
    main = Recall(
        settings.cache / "recall" / source, asked={window.day} if window.day else None, now=now
    )

    def read() -> Iterator[Raw]:
        return connector.read(day=window.day, until=window.end, wants=main.wants)

    def more() -> Iterator[Raw]:
        return takewhile(lambda raw: raw.table in _MAIN, read())

    for table, raws in groupby(read(), key=attrgetter("table")):
        recall = main if table in _MAIN else Recall(settings.cache, asked=None, now=now)
        place, stands = Place(settings.lake, source, table), _stands(table, window, tally)
        with gathered(raws, place, recall=recall, more=more, now=now, stands=stands) as told:
            _land_shop(told, window, tally, progress=progress)


def _land_shop(told: Gathered, window: Window, tally: Tally, *, progress: Progress) -> None:
    place, rows_in = told.place, told.spool.rows_in
    is_main = place.table in _MAIN
    tally.notes.extend(told.notes)
    if not is_main and not told.is_stated:
        # Users that are known by their ids are no list without a user.
        return
    known = ledger.entries(place.lake, place.source, place.table)
    days = _candidates(rows_in, known, window)
    if is_main and window.day:
        tally.feed = _feed(rows_in, told.delivered, window.day)
        days -= {window.day} if tally.feed == MISSING else set()
    if not is_main and window.day is None and not days:
        days = set(tally.landed[_main_table(tally)].days[:1])
    always = frozenset(days & {window.day})
    staged = told.stage(set(filter(told.recall.is_whole, days)), known, always=always)
    if is_main:  # Users and items are what they are today: they may become fewer.
        require_no_less(staged.entries, place, known, asked=always)
    if window.day is not None:
        staged = staged.only(always | told_differently(staged.entries, known))
    landed = land(staged, place, known=known, progress=progress)
    here = {day: why for day, why in told.known_days.items() if day in landed.days}
    accepted_days.accept(place.lake, here)
    _note(tally, staged, place, landed)
    if is_main:
        _require_rows(landed, tally, window, place)
        _remember(told, days, known)


def _remember(
    told: Gathered, days: Set[date | None], known: Mapping[date | None, ledger.Entry]
) -> None:
    """What was read need not be read again, if all known days could have been landed of it.

    A history that ends before a known day leaves that day as it was.
    """
    if {day for day in told.spool.rows_in if day in known} <= days:
        told.keep()
    else:
        told.recall.forget()


def _require_rows(landed: Landed, tally: Tally, window: Window, place: Place) -> None:
    """A history has rows, and some of them are fit; a single day may be without any."""
    if landed.total("rows_in") and not landed.total("rows_landed"):
        raise BadInputError(
            f"not one of {landed.total('rows_in')} rows of {place.table} is fit: "
            f"{dict(tally.reasons)}; see {place.quarantine(None).parent}"
        )
    if window.day is None and not landed.days:
        before = f" before {window.until}" if window.until else ""
        raise BadInputError(f"{place.source} has no {place.table}{before}: nothing was landed")


def _candidates(
    rows_in: Mapping[date | None, int],
    known: Mapping[date | None, ledger.Entry],
    window: Window,
) -> set[date | None]:
    """The days that may have to be landed: the window's; for a single day also all known ones.

    A single day does not open days that were never landed: a history, or their own run, does.
    """
    if window.day is None:
        return {d for d in rows_in if d is None or window.until is None or d < window.until}
    return {window.day} | {d for d in rows_in if d is None or d in known}


def _feed(rows_in: Mapping[date | None, int], delivered: frozenset[date], day: date) -> str:
    """Whether the source handed the day over, and whether it had rows."""
    if rows_in.get(day):
        return ARRIVED
    reach = [known for known in rows_in if known] + sorted(delivered)
    return EMPTY if reach and min(reach) <= day <= max(reach) else MISSING


def _stands(table: str, window: Window, tally: Tally) -> date | None:
    """A snapshot without a day of its own stands on the asked day, or on the history's first."""
    if table in _MAIN:
        return None
    first = tally.landed[_main_table(tally)].days[:1]
    return window.day or (first[0] if first else None)


def _land_storefront(
    shop_days: list[date], tally: Tally, settings: Settings, *, now: datetime, progress: Progress
) -> None:
    """Land every logged day up to the shop's last one; the shop's days also when empty."""
    last = read_last_date(settings.lake)
    if last is None:
        return
    end = last + timedelta(days=1)
    place = Place(settings.lake, "storefront", "events")
    asked = None if tally.feed == HISTORY else set(shop_days)
    recall = Recall(settings.cache / "recall" / place.source, asked=asked, now=now)

    def read() -> Iterator[Raw]:
        return Storefront(settings.event_log).read(day=None, until=end, wants=recall.wants)

    with gathered(read(), place, recall=recall, more=read, now=now) as told:
        known = ledger.entries(place.lake, place.source, place.table)
        days = _candidates(told.spool.rows_in, {}, Window(until=end)) | set(shop_days)
        staged = told.stage(set(filter(recall.is_whole, days)), known)
        require_no_less(staged.entries, place, known, asked=frozenset())
        _note(tally, staged, place, land(staged, place, known=known, progress=progress))
        tally.notes.extend(told.notes)
        _remember(told, days, known)


def _note(tally: Tally, staged: Staged, place: Place, landed: Landed) -> None:
    tally.landed[f"{place.source}.{place.table}"] = landed
    for (_, reason), count in staged.reasons.items():
        tally.reasons[reason] += count


def _main_table(tally: Tally) -> str:
    return next(iter(tally.landed))


def _require_same_shop(settings: Settings) -> None:
    """One home, one shop: two replayed shops cannot share a clock."""
    held = {source for source, _ in ledger.tables(settings.lake)} & set(SHOP_SOURCES)
    if held - {settings.source}:
        raise BadInputError(
            f"{settings.root} already holds the shop '{min(held)}', not '{settings.source}': "
            "give each shop a VITRINE_HOME of its own"
        )


def _receipt(tally: Tally, window: Window, settings: Settings, *, seconds: float) -> Receipt:
    main = tally.landed[_main_table(tally)]
    written = {name: len(one.written) for name, one in tally.landed.items()}
    return Receipt(
        command="ingest",
        key=window.key,
        rows_in=tally.total("rows_in"),
        rows_out=tally.total("rows_landed"),
        rows_duplicate=tally.total("rows_duplicate"),
        rows_quarantined=tally.total("rows_quarantined"),
        seconds=seconds,
        artifacts=tuple(str(settings.lake / name.replace(".", "/")) for name in tally.landed),
        details={
            "source": settings.source.value,
            "feed": tally.feed,
            "first_date": main.days[0] if main.days else None,
            "last_date": main.days[-1] if main.days else None,
            "days": {name: len(one.days) for name, one in tally.landed.items()},
            "days_written": written,
            "rows": {name: one.total("rows_landed") for name, one in tally.landed.items()},
            "quarantined_by_reason": dict(sorted(tally.reasons.items())),
            "notes": tally.notes,
        },
    )
