"""One ingest: read the source, sift, land; then the same for the storefront's own events.

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
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from domain import accepted_days
from domain.clock import read_last_date, write_last_date
from domain.errors import BadInputError
from domain.events import SHOP_SOURCES
from domain.files import only_writer
from domain.progress import Progress, silent
from domain.receipts import Receipt, Stopwatch
from domain.schemas import LANDED
from domain.settings import Settings
from ingest import ledger
from ingest.changes import require_no_less, told_differently
from ingest.connectors import open_connector
from ingest.connectors.storefront import Storefront
from ingest.landing import Landed, Place, land
from ingest.raw import Connector, Raw
from ingest.rules import TIME_COLUMN
from ingest.sift import Sifted, judge, sift

logger = logging.getLogger(__name__)

_MAIN: Final = frozenset(TIME_COLUMN)

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
        return self.day.isoformat() if self.day else "history"


@dataclass
class Tally:
    """What a run has done so far, for the receipt."""

    landed: dict[str, Landed] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    feed: str = "history"

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
        for raw in connector.read(day=day, until=window.end):
            _land_shop(raw, connector, window, tally, settings, now=now, progress=say)
        shop_days = tally.landed[_main_table(tally)].days
        if shop_days:
            write_last_date(settings.lake, shop_days[-1])
        _land_storefront(shop_days, tally, settings, now=now, progress=say)
    return _receipt(tally, window, settings, seconds=watch.seconds)


def _land_shop(
    raw: Raw,
    connector: Connector,
    window: Window,
    tally: Tally,
    settings: Settings,
    *,
    now: datetime,
    progress: Progress,
) -> None:
    place = Place(settings.lake, connector.source.value, raw.table)
    if raw.table not in _MAIN and not raw.is_stated:
        # Users that are known by their ids are no list without a user.
        tally.notes.extend(raw.notes)
        return
    if raw.table not in _MAIN:
        raw = _dated(raw, window, tally)
    schema = LANDED[place.source][raw.table]
    judged = judge(raw.rows, table=raw.table, schema=schema, now=now)
    known = ledger.entries(settings.lake, place.source, raw.table)
    days = _candidates(judged.rows_in(), known, window)
    if raw.table in _MAIN and window.day:
        tally.feed = _feed(judged.rows_in(), raw.delivered, window.day)
        days -= {window.day} if tally.feed == MISSING else set()
    if raw.table not in _MAIN and window.day is None and not days:
        days = set(tally.landed[_main_table(tally)].days[:1])
    always = frozenset(days & {window.day})
    sifted = sift(judged, days)
    if raw.table in _MAIN:  # Users and items are what they are today: they may become fewer.
        require_no_less(sifted, place, known, asked=always)
    if window.day is not None:
        sifted = sifted.only(always | told_differently(sifted, known))
    landed = land(sifted, place, schema, always=always, progress=progress)
    here = {day: why for day, why in raw.known_days.items() if day in landed.days}
    accepted_days.accept(settings.lake, here)
    _note(tally, raw, sifted, place, landed)
    if raw.table in _MAIN:
        _require_rows(landed, tally, window, place)


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


def _dated(raw: Raw, window: Window, tally: Tally) -> Raw:
    """A snapshot without a day of its own stands on the asked day, or on the history's first."""
    import polars as pl

    first = tally.landed[_main_table(tally)].days[:1]
    stands = window.day or (first[0] if first else None)
    arrived = pl.col("_arrived").fill_null(pl.lit(stands, dtype=pl.Date))
    return Raw(raw.table, raw.rows.with_columns(arrived), raw.notes)


def _land_storefront(
    shop_days: list[date], tally: Tally, settings: Settings, *, now: datetime, progress: Progress
) -> None:
    """Land every logged day up to the shop's last one; the shop's days also when empty."""
    last = read_last_date(settings.lake)
    if last is None:
        return
    end = last + timedelta(days=1)
    place, schema = Place(settings.lake, "storefront", "events"), LANDED["storefront"]["events"]
    for raw in Storefront(settings.event_log).read(day=None, until=end):
        judged = judge(raw.rows, table=raw.table, schema=schema, now=now)
        days = _candidates(judged.rows_in(), {}, Window(until=end)) | set(shop_days)
        known = ledger.entries(settings.lake, place.source, place.table)
        sifted = sift(judged, days)
        require_no_less(sifted, place, known, asked=frozenset())
        landed = land(sifted, place, schema, progress=progress)
        _note(tally, raw, sifted, place, landed)


def _note(tally: Tally, raw: Raw, sifted: Sifted, place: Place, landed: Landed) -> None:
    tally.landed[f"{place.source}.{place.table}"] = landed
    tally.reasons.update(sifted.quarantined.get_column("reason").to_list())
    tally.notes.extend(raw.notes)
    for note in raw.notes:
        logger.warning("%s", note)


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
