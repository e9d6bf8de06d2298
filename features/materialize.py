"""Copy the newest feature values from the marts to the online store, and stamp it.

Which rows: the newest per entity, up to the newest day that was ever materialized. So an old day
that is rebuilt never puts an older value over a newer one, a history of 600 days is one pass, and
a killed run is repeated by running it again.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from feast import FeatureStore, FeatureView

from domain.clock import midnight
from domain.errors import ReconciliationError, StaleFeaturesError
from domain.progress import silent
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings
from domain.stamp import StoreStamp
from features import partitions
from features.embedded import checkpoint
from features.quiet import quiet
from features.reading import event_seconds
from features.schema import feature_schema
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
    found = partitions.signatures(settings, name)
    known = partitions.materialized(settings, name)
    start = partitions.first_changed(known, found, until=newest)
    if start is None or not any(start.isoformat() <= day <= newest.isoformat() for day in found):
        progress(name, "nothing changed")
        return 0
    view = store.get_feature_view(name)
    start = max(start, _oldest_true(view, newest))
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


def _compare(store: FeatureStore, name: str, wanted: pa.Table) -> tuple[int, int]:
    entity = wanted.column_names[0]
    seconds = event_seconds(store, store.get_feature_view(name), wanted[entity].to_pylist())
    expected = [int(moment.timestamp()) for moment in wanted["event_timestamp"].to_pylist()]
    lacking = sum(held != due for held, due in zip(seconds, expected, strict=True))
    return wanted.num_rows, lacking


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
        settings, {name: {d: s for d, s in days.items() if d <= day} for name, days in done.items()}
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
