"""Every value of the online store against Feast's point-in-time join, for every entity."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from domain.clock import midnight
from domain.errors import StaleFeaturesError
from domain.receipts import Stopwatch
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from ingest.audit import Break
from stack.hops import Hop
from stack.proof.joins import SERVICE
from stack.status import online_file

NAME: Final = "online store"
STRANGER: Final = "nobody-knows-this-id"
LATER: Final = timedelta(days=45)
"""Rows of the last 45 days are still true then, older ones have expired: on both sides."""

_VIEWS: Final = {"user_id": ("user_features", "user_history"), "item_id": ("item_features",)}
_CHUNK: Final = 2_000


def online_equals_offline(settings: Settings, *, progress: Callable[..., None]) -> Hop:
    """Every user and item ever published, and one that never was, as of the stamp and later.

    What has expired by then must be missing on both sides.
    """
    watch = Stopwatch()
    try:
        reader = _open(settings)
    except StaleFeaturesError as error:
        return Hop(NAME, "not yet", 0, str(error))
    stamp = reader.stamp()
    served = midnight(stamp.event_date + timedelta(days=1))
    breaks: list[Break] = []
    rows = 0
    for entity, views in _VIEWS.items():
        ids = [*_published(settings, entity, views), STRANGER]
        read = reader.users if entity == "user_id" else reader.items
        for now in (served, served + LATER):
            held = _read(read, ids, now=now, progress=progress)
            breaks += _differences(held, _offline(settings, entity, ids, now), entity, now)
            rows += len(ids)
    said = (
        f"{rows:,} reads of every user and item, as of {served:%Y-%m-%d} and {LATER.days} days "
        f"later, against the point-in-time join ({watch.seconds:.0f} s)"
    )
    return Hop(NAME, "broken" if breaks else "ok", rows, said, tuple(breaks))


def _open(settings: Settings) -> Any:
    path = online_file(settings)
    if path is not None and not path.exists():
        raise StaleFeaturesError("nothing is materialized: run vitrine materialize")
    # Feast takes seconds to import: only where there is something to read.
    from features.online import FeatureReader

    return FeatureReader(settings)


def _published(settings: Settings, entity: str, views: Sequence[str]) -> list[str]:
    found = pl.concat([_ids(settings.marts / view, entity) for view in views])
    return found.unique().sort(entity).collect()[entity].to_list()


def _ids(folder: Path, entity: str) -> pl.LazyFrame:
    return pl.scan_parquet(folder / "event_date=*" / "part.parquet").select(entity)


def _read(
    read: Callable[..., pa.Table],
    ids: Sequence[str],
    *,
    now: datetime,
    progress: Callable[..., None],
) -> pa.Table:
    parts = []
    for at in range(0, len(ids), _CHUNK):
        parts.append(read(ids[at : at + _CHUNK], now=now))
        progress(NAME, f"as of {now:%Y-%m-%d}", done=min(at + _CHUNK, len(ids)), total=len(ids))
    return pa.concat_tables(parts)


def _offline(settings: Settings, entity: str, ids: Sequence[str], now: datetime) -> pa.Table:
    from features.history import point_in_time

    asked = {
        entity: pa.array(ids, pa.string()),
        "event_timestamp": pa.array([now] * len(ids), TIMESTAMP),
    }
    return point_in_time(settings, pa.table(asked), service=SERVICE)


def _differences(held: pa.Table, offline: pa.Table, entity: str, now: datetime) -> Iterator[Break]:
    """Values that differ in a bit, or that one side lacks."""
    online, joined = pl.DataFrame(held), pl.DataFrame(offline)
    for name in online.columns:
        due = joined[name]
        differs = due.ne_missing(online[name])
        if differs.any():
            row = differs.arg_max()
            said = (
                f"{differs.sum():,} of {len(due):,} as of {now:%Y-%m-%d}; {online[entity][row]} is "
                f"{_shown(due[row])} by the point-in-time join, got {_shown(online[name][row])}"
            )
            yield Break(f"{NAME} {name}", None, said)


def _shown(value: object) -> str:
    return str(value.to_list() if isinstance(value, pl.Series) else value)[:120]
