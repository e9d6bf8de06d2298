"""Copy the newest feature values from the marts to the online store, and stamp it.

Which rows: the newest per entity, up to the newest day that was ever materialized. So an old day
that is rebuilt never puts an older value over a newer one, a history of 600 days is one pass, and
a killed run is repeated by running it again. The one case in which a served event time goes back:
a rebuilt day no longer has the entity's row. What no mart says any more is not served.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from feast import FeatureStore, FeatureView

from domain.clock import midnight
from domain.errors import ReconciliationError, StaleFeaturesError
from domain.progress import silent
from domain.receipts import Receipt, Stopwatch
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from domain.stamp import StoreStamp
from features import partitions
from features.packed_store import table_of
from features.quiet import quiet
from features.reading import event_microseconds, keys_of, online_store
from features.schema import feature_schema
from features.sqlite_store import checkpoint
from features.stamps import find_stamp, keep_stamp
from features.store import VIEWS, apply, is_file, mart_glob, open_store, writing

logger = logging.getLogger(__name__)

Report = Callable[..., None]
"""``domain.progress.Progress`` or ``silent``."""

_EPOCH: Final = date(1970, 1, 1)


def materialize(
    settings: Settings, until: date | None = None, *, progress: Report = silent
) -> Receipt:
    """Bring the online store up to the end of ``until``.

    Args:
        settings: Whose marts and online store.
        progress: Called as each view is written.
        until: The last day whose rows may be written; None: the last published day. A store that
            already holds a later day stays there, and takes up what changed before.

    Raises:
        StaleFeaturesError: If no feature table was published yet.
        ReconciliationError: If a value that was written cannot be read back.
    """
    watch = Stopwatch()
    apply(settings)
    with writing(settings):
        held = _held(settings)
        newest = max(until or _last_published(settings), held.event_date if held else _EPOCH)
        store = open_store(settings)
        counts = {
            name: _materialize_view(settings, store, name, newest=newest, progress=progress)
            for name in VIEWS
        }
        _finish(settings, store, newest=newest, version=held.version + 1 if held else 1)
    rows_in = sum(counts.values())
    return Receipt(
        command="materialize",
        key=(until or newest).isoformat(),
        rows_in=rows_in,
        rows_out=rows_in,
        seconds=watch.seconds,
        artifacts=(str(settings.feast / "registry.db"),),
        details={"rows": counts, "event_date": newest},
    )


def latest_rows(settings: Settings, name: str, *, start: date, until: date) -> pa.Table:
    """Entity and its newest event time within whole days [start, until], of one feature table."""
    entity = "item_id" if name == "item_features" else "user_id"
    with duckdb.connect() as connection:
        # Days are chosen by folder, so that other days' files are not even opened.
        return connection.sql(
            f"SELECT {entity}, max(event_timestamp) AS event_timestamp FROM "
            f"read_parquet('{mart_glob(settings, name)}', hive_partitioning = true) "
            "WHERE event_date BETWEEN ? AND ? GROUP BY 1 ORDER BY 1",
            params=[start, until],
        ).to_arrow_table()


def missing_online(settings: Settings, name: str, *, start: date, until: date) -> tuple[int, int]:
    """Entities with a row in [start, until], and how many of them the online store lacks.

    An entity is lacking if the store does not hold exactly its newest row's event time.
    """
    return _compare(
        open_store(settings), name, latest_rows(settings, name, start=start, until=until)
    )


def _materialize_view(
    settings: Settings, store: FeatureStore, name: str, *, newest: date, progress: Report
) -> int:
    """Write the rows of one view that changed; returns how many entities were written."""
    view = store.get_feature_view(name)
    found = partitions.signatures(settings, name)
    generation = online_store(store).generation(store.config, view)
    known = partitions.materialized(settings, name, generation=generation)
    start = partitions.first_changed(known, found, until=newest)
    if start is None:
        progress(name, "nothing changed")
        return 0
    oldest = _oldest_true(view, newest)
    rebuilt = {day for day, held in known.items() if found.get(day) != held}
    if rebuilt and _withdraw(settings, store, view, rebuilt, start=oldest, until=newest):
        start = oldest
    start = max(start, oldest)
    wanted = latest_rows(settings, name, start=start, until=newest)
    progress(name, f"writing {wanted.num_rows} rows of {start} … {newest}", done=0, total=1)
    if wanted.num_rows:
        with quiet():
            store.materialize(midnight(start), _end(newest), feature_views=[name])
    _, lacking = _compare(store, name, wanted)
    if lacking:
        raise ReconciliationError(
            f"materialize {name}: {lacking} of {wanted.num_rows} entities do not hold their "
            f"newest row of {start} … {newest} in the online store"
        )
    progress(name, f"{wanted.num_rows} entities online", done=1, total=1)
    return wanted.num_rows


def _withdraw(
    settings: Settings,
    store: FeatureStore,
    view: FeatureView,
    rebuilt: set[str],
    *,
    start: date,
    until: date,
) -> int:
    """Remove online rows of rebuilt days that no mart has any more; returns how many."""
    due = latest_rows(settings, view.name, start=start, until=until)
    expected = dict(zip(keys_of(view, due[0].to_pylist()), _event_us(due), strict=True))
    config, online = store.config, online_store(store)
    gone = [
        key
        for keys, moments in online.events(config, table_of(config, view))
        for key, moment in zip(keys, moments, strict=True)
        if moment != expected.get(key) and _day_of(moment) in rebuilt
    ]
    if gone:
        online.drop(config, table_of(config, view), gone)
        logger.info("%s: withdrew %d rows that rebuilt days no longer have", view.name, len(gone))
    return len(gone)


def _compare(store: FeatureStore, name: str, wanted: pa.Table) -> tuple[int, int]:
    view = store.get_feature_view(name)
    held = event_microseconds(store, view, wanted[0].to_pylist())
    lacking = sum(held != due for held, due in zip(held, _event_us(wanted), strict=True))
    return wanted.num_rows, lacking


def _event_us(rows: pa.Table) -> list[int]:
    """Event times, microseconds since 1970."""
    moments: list[int] = rows["event_timestamp"].cast(TIMESTAMP).cast(pa.int64()).to_pylist()
    return moments


def _day_of(event_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=event_us)).isoformat()


def _finish(settings: Settings, store: FeatureStore, *, newest: date, version: int) -> None:
    """Stamp first, memory last: killed in between, the next run repeats and stamps again."""
    address = settings.online_address
    if is_file(address):
        checkpoint(Path(address))
    stamp = StoreStamp(feature_schema(store), newest, version, settings.clock)
    keep_stamp(address, stamp)
    day = newest.isoformat()
    done = {name: partitions.signatures(settings, name) for name in VIEWS}
    partitions.remember(
        settings,
        {name: {d: s for d, s in days.items() if d <= day} for name, days in done.items()},
        generations={
            name: online_store(store).generation(store.config, store.get_feature_view(name))
            for name in VIEWS
        },
    )


def _held(settings: Settings) -> StoreStamp | None:
    """The stamp of what is online; without one nothing is, whatever was remembered."""
    try:
        return find_stamp(settings.online_address)
    except StaleFeaturesError:
        partitions.forget(settings)
        return None


def _last_published(settings: Settings) -> date:
    days = [day for name in VIEWS for day in partitions.signatures(settings, name)]
    if not days:
        raise StaleFeaturesError(
            f"no feature table is published below {settings.marts}: run vitrine build first"
        )
    return date.fromisoformat(max(days))


def _oldest_true(view: FeatureView, newest: date) -> date:
    """The first day whose row may still be true on ``newest``: older ones are not worth writing."""
    return newest - view.ttl if view.ttl else _EPOCH


def _end(day: date) -> datetime:
    """The last microsecond of ``day``: Feast's end is inclusive, and rows stand exactly there."""
    return datetime.combine(day, datetime.max.time(), tzinfo=UTC)
