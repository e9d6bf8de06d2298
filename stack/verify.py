"""Was anything lost? Recomputed from disk, hop by hop: lake → marts → online store.

Every hop compares what really lies there, ids and contents, with what the hop before holds; no
command's word is taken for it. A hop that has not happened yet is said to be so, and is a break
when a later hop has.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from domain import dirty
from domain.errors import StaleFeaturesError
from domain.schemas import LANDED
from domain.settings import Settings
from ingest import ledger
from ingest.audit import Audit, Break, audit
from ingest.rules import ID_COLUMN, TIME_COLUMN
from stack.contents import contents
from stack.hops import VIEW_KEYS, Hop, judged
from stack.leftovers import tidy
from stack.status import online_file

if TYPE_CHECKING:
    from feast import FeatureStore

_ALWAYS_TRUE: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""A now before every row: read by it, the online store answers with what it holds, however old."""


def verify(settings: Settings) -> list[Hop]:
    """All hops, in the order of the rows' way."""
    hops = [_landed(settings), _marts(settings), _online(settings)]
    waiting = frozenset(dirty.days(settings.lake))
    return [*_in_order(hops), contents(settings, waiting=waiting), tidy(settings.root)]


def first_break(hops: Sequence[Hop]) -> Break | None:
    """The break that is nearest to the source, or None if nothing is lost."""
    return next((found for hop in hops for found in hop.breaks), None)


def _in_order(hops: list[Hop]) -> Iterator[Hop]:
    """A hop that has not happened is broken if a later one has: its rows came from nowhere."""
    for number, hop in enumerate(hops):
        later = [other.name for other in hops[number + 1 :] if other.state != "not yet"]
        if hop.state == "not yet" and later:
            lost = Break(hop.name, None, f"{hop.said}, but {later[0]} holds rows")
            yield Hop(hop.name, "broken", hop.rows, hop.said, (lost,))
        else:
            yield hop


def _landed(settings: Settings) -> Hop:
    found: Audit = audit(settings.lake)
    if not found.days and not found.rows_in:
        return Hop("lake", "not yet", 0, "nothing is landed")
    said = (
        f"{found.rows_in:,} rows in = {found.rows_landed:,} landed + "
        f"{found.rows_duplicate:,} duplicate + {found.rows_quarantined:,} quarantined "
        f"({found.days} days){_by_reason(found.reasons)}"
    )
    return judged("lake", found.rows_landed, said, found.breaks, "")


def _by_reason(reasons: Mapping[str, int]) -> str:
    told = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(reasons.items()))
    return f": {told}" if told else ""


def _marts(settings: Settings) -> Hop:
    if not any((settings.marts / "events").glob("event_date=*/part.parquet")):
        return Hop("marts", "not yet", 0, "nothing is built")
    waiting = dirty.days(settings.lake)
    landed, accepted, rejected = (
        _landed_ids(settings),
        _ids(settings, "events"),
        _rejected(settings),
    )
    tally = (
        pl.concat(
            [
                landed.with_columns(landed=1, events=0, rejected=0),
                accepted.with_columns(landed=0, events=1, rejected=0),
                rejected.with_columns(landed=0, events=0, rejected=1),
            ]
        )
        .filter(~pl.col("event_date").is_in(waiting))
        .group_by("event_date", "source", "id")
        .agg(pl.col("landed", "events", "rejected").sum())
        .collect()
    )
    sums = tally.select(pl.col("landed", "events", "rejected").sum()).row(0)
    reasons = _rejected_by_reason(settings)
    said = f"{sums[0]:,} landed = {sums[1]:,} events + {sums[2]:,} rejected{_by_reason(reasons)}"
    breaks = [*_lost_or_made(tally), *_lost_snapshots(settings, set(waiting))]
    return judged("marts", sums[1], said, breaks, _waiting("vitrine build", waiting))


def _waiting(command: str, days: Sequence[date]) -> str:
    if not days:
        return ""
    return f"{len(days)} days wait for {command}: {days[0]} … {days[-1]}"


def _lost_or_made(tally: pl.DataFrame) -> Iterator[Break]:
    marts = pl.col("events") + pl.col("rejected")
    by_day = (
        tally.group_by("event_date", "source")
        .agg(
            lost=(pl.col("landed") > marts).sum(),
            made=((pl.col("landed") < marts) & (pl.col("landed") == 0)).sum(),
            twice=((pl.col("landed") < marts) & (pl.col("landed") > 0)).sum(),
        )
        .filter(pl.sum_horizontal("lost", "made", "twice") > 0)
        .sort("event_date", "source")
    )
    said = {
        "lost": "landed rows are in neither events nor rejected_events",
        "made": "rows of events or rejected_events were never landed",
        "twice": "landed rows are in events or rejected_events more than once",
    }
    for row in by_day.iter_rows(named=True):
        parts = [f"{row[kind]} {text}" for kind, text in said.items() if row[kind]]
        yield Break(f"marts {row['source']}", row["event_date"], ", ".join(parts))


def _landed_ids(settings: Settings) -> pl.LazyFrame:
    """``event_date, source, id`` of every landed row that becomes an event."""
    frames = [_no_ids()]
    for source, table in ledger.tables(settings.lake):
        if table in TIME_COLUMN:
            rows = _scan(settings.lake / source / table)
            frames.append(_triple(rows, pl.lit(source), ID_COLUMN[table]))
    return pl.concat(frames)


def _ids(settings: Settings, table: str) -> pl.LazyFrame:
    return _triple(_scan(settings.marts / table), pl.col("source"), "event_id")


def _rejected(settings: Settings) -> pl.LazyFrame:
    if not any((settings.marts / "rejected_events").glob("event_date=*/part.parquet")):
        return _no_ids()
    return _triple(_scan(settings.marts / "rejected_events"), pl.col("source"), "source_id")


def _rejected_by_reason(settings: Settings) -> dict[str, int]:
    if not any((settings.marts / "rejected_events").glob("event_date=*/part.parquet")):
        return {}
    counted = _scan(settings.marts / "rejected_events").group_by("reason").len().collect()
    return dict(counted.iter_rows())


def _triple(rows: pl.LazyFrame, source: pl.Expr, key: str) -> pl.LazyFrame:
    day = pl.col("event_date").cast(pl.Date)
    return rows.select(day, source.alias("source"), pl.col(key).alias("id"))


def _no_ids() -> pl.LazyFrame:
    return pl.LazyFrame(schema={"event_date": pl.Date, "source": pl.String, "id": pl.String})


def _scan(folder: Path) -> pl.LazyFrame:
    return pl.scan_parquet(folder / "event_date=*" / "part.parquet", hive_partitioning=True)


def _lost_snapshots(settings: Settings, waiting: set[date]) -> Iterator[Break]:
    """Users and items of the newest landed snapshot that the newest published one lacks."""
    for table in ("users", "items"):
        days = ledger.entries(settings.lake, settings.source.value, table)
        if table not in LANDED[settings.source] or not days or waiting:
            continue
        newest = max(day for day in days if day is not None)
        key = ID_COLUMN[table]
        folder = settings.lake / settings.source / table / f"event_date={newest}"
        landed = set(pl.read_parquet(folder / "part.parquet", columns=[key])[key])
        published = sorted((settings.marts / table).glob("event_date=*/part.parquet"))
        held = set(pl.read_parquet(published[-1], columns=[key])[key]) if published else set()
        if landed - held:
            said = f"{len(landed - held)} landed {table} are not published: {min(landed - held)} …"
            yield Break(f"marts {table}", newest, said)


def _online(settings: Settings) -> Hop:
    path = online_file(settings)
    if path is not None and not path.with_name("stamp.json").exists():
        return Hop("online store", "not yet", 0, "nothing is materialized")
    # Feast takes seconds to import: only where there is something to read.
    from features.online import FeatureReader
    from features.store import open_store

    try:
        reader = FeatureReader(settings)
    except StaleFeaturesError:
        return Hop("online store", "not yet", 0, "nothing is materialized")
    stamp = reader.stamp()
    store = open_store(settings)
    changed = [day for view in VIEW_KEYS for day in _changed(settings, store, view)]
    rows, breaks = 0, []
    for view, key in VIEW_KEYS.items() if not changed else ():
        ttl = store.get_feature_view(view).ttl
        latest = _latest(settings, view, key, newest=stamp.event_date, ttl=ttl)
        read = reader.items if key == "item_id" else reader.users
        held = read(latest[key].to_pylist(), now=_ALWAYS_TRUE)
        rows += latest.num_rows
        breaks += _differences(view, key, latest, held)
    said = f"{rows:,} rows as of {stamp.event_date}, version {stamp.version}"
    return judged(
        "online store", rows, said, breaks, _waiting("vitrine materialize", sorted(set(changed)))
    )


def _changed(settings: Settings, store: "FeatureStore", view: str) -> list[date]:
    """The published days that are not materialized as they are now."""
    from features.partitions import materialized, signatures
    from features.reading import online_store

    made = online_store(store).generation(store.config, store.get_feature_view(view))
    known, found = materialized(settings, view, generation=made), signatures(settings, view)
    days = {*known, *found}
    return [date.fromisoformat(day) for day in sorted(days) if known.get(day) != found.get(day)]


def _latest(
    settings: Settings, view: str, key: str, *, newest: date, ttl: timedelta | None
) -> pa.Table:
    """The newest published row of each entity that can still be true on ``newest``."""
    rows = _scan(settings.marts / view).filter(pl.col("event_date") <= newest)
    if ttl:
        rows = rows.filter(pl.col("event_date") >= newest - ttl)
    return rows.sort(key, "event_timestamp").unique(key, keep="last").sort(key).collect().to_arrow()


def _differences(view: str, key: str, latest: pa.Table, held: pa.Table) -> Iterator[Break]:
    """Values that the online store does not hold as published. Feast's times are whole seconds."""
    wanted, got = pl.DataFrame(latest), pl.DataFrame(held)
    columns = [name for name in wanted.columns if name in got.columns and name != key]
    for name in columns:
        due = wanted[name].cast(got.schema[name])
        if isinstance(due.dtype, pl.Datetime):
            due = due.dt.truncate("1s")
        differs = due.ne_missing(got[name])
        if differs.any():
            entity = wanted.filter(differs)[key][0]
            said = f"{differs.sum()} of {len(due)} values of {name} differ, the first of {entity}"
            yield Break(f"online store {view}", None, said)
