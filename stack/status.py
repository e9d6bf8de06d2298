"""Where the shop stands, read from what lies on disk; nothing heavy is imported, nothing started.

What is not there yet is null or empty: a status never fails because a shop is young.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from domain import dirty
from domain.clock import read_last_date, shop_now
from domain.errors import StaleFeaturesError
from domain.settings import Settings
from domain.stamp import StoreStamp, read_stamp
from ingest import ledger

_VIEWS: Final = ("user_features", "item_features", "user_history")


@dataclass(frozen=True)
class Status:
    """One shop's state. ``rows``: hop → table → rows; ``release``: the live one, as its ledger
    has it, with its ``metrics``; ``commands``: the last receipt of each command.
    """

    home: str
    source: str
    clock: str
    last_date: date | None
    now: datetime
    rows: Mapping[str, Mapping[str, int]]
    dirty_days: tuple[date, ...]
    event_date: date | None
    store_version: int | None
    last_run: str | None
    release: Mapping[str, object] | None
    commands: Mapping[str, Mapping[str, object]]


def status(settings: Settings, *, wall: datetime) -> Status:
    """The shop's state. ``wall``: the wall clock, from which a replayed shop's now is made."""
    last_date, stamp = read_last_date(settings.lake), _stamp(settings)
    return Status(
        home=str(settings.root),
        source=settings.source.value,
        clock=settings.clock,
        last_date=last_date,
        now=shop_now(wall, clock=settings.clock, last_date=last_date),
        rows={**_lake_rows(settings), "marts": _marts_rows(settings), "online": _online(settings)},
        dirty_days=tuple(dirty.days(settings.lake)),
        event_date=stamp.event_date if stamp else None,
        store_version=stamp.version if stamp else None,
        last_run=_newest(settings.runs, "run.json"),
        release=_live(settings.releases),
        commands=_commands(settings.receipts),
    )


def _lake_rows(settings: Settings) -> dict[str, dict[str, int]]:
    """The ledger's sums by table: what came in and where it went."""
    rows: dict[str, dict[str, int]] = {"in": {}, "landed": {}, "duplicate": {}, "quarantined": {}}
    for source, table in ledger.tables(settings.lake):
        entries = ledger.entries(settings.lake, source, table).values()
        for hop, numbers in rows.items():
            numbers[f"{source}.{table}"] = sum(getattr(entry, f"rows_{hop}") for entry in entries)
    return rows


def _marts_rows(settings: Settings) -> dict[str, int]:
    """Rows of every published table, from the files' footers."""
    tables = sorted(folder for folder in settings.marts.glob("*") if folder.is_dir())
    return {
        folder.name: sum(
            pq.read_metadata(part).num_rows for part in folder.glob("event_date=*/part.parquet")
        )
        for folder in tables
    }


def online_file(settings: Settings) -> Path | None:
    """The online store's SQLite file, where it is one."""
    if "://" in settings.online_store:
        return None
    if settings.online_store == "sqlite":
        return settings.feast / "online.db"
    return Path(settings.online_store).expanduser().resolve()


def _online(settings: Settings) -> dict[str, int]:
    """Entities per feature view in a SQLite store; a server is not asked."""
    path = online_file(settings)
    if path is None or not path.exists():
        return {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master")]
        tables = {view: name for view in _VIEWS for name in names if name.endswith(f"_{view}")}
        count = 'SELECT count(DISTINCT entity_key) FROM "{}"'
        return {view: store.execute(count.format(t)).fetchone()[0] for view, t in tables.items()}


def _stamp(settings: Settings) -> StoreStamp | None:
    path = online_file(settings)
    try:
        if path is not None:
            return read_stamp(path.with_name("stamp.json"))
        from features.stamps import find_stamp  # Feast: seconds to import, so only for servers.

        return find_stamp(settings.online_store)
    except StaleFeaturesError:
        return None


def _newest(folder: Path, inside: str) -> str | None:
    """The name of the folder whose file ``inside`` was written last."""
    found = sorted(folder.glob(f"*/{inside}"), key=lambda path: path.stat().st_mtime_ns)
    return found[-1].parent.name if found else None


def _live(releases: Path) -> dict[str, object] | None:
    """The live release's ledger entry, with the metrics of its manifest."""
    if not (releases / "ledger.jsonl").exists():
        return None
    from release.ledger import live

    entry = live(releases)
    if entry is None:
        return None
    content: dict[str, object] = asdict(entry) if is_dataclass(entry) else dict(entry)
    manifest = releases / str(content.get("release_id")) / "manifest.json"
    if "metrics" not in content and manifest.exists():
        content["metrics"] = json.loads(manifest.read_text(encoding="utf-8")).get("metrics")
    return content


def _commands(receipts: Path) -> dict[str, dict[str, object]]:
    """The newest receipt of each command: its key, its rows, how long it took and when it ended."""
    newest: dict[str, Path] = {}
    for path in sorted(receipts.glob("*/*.json"), key=lambda path: path.stat().st_mtime_ns):
        newest[path.parent.name] = path
    return {command: _summary(path) for command, path in sorted(newest.items())}


def _summary(path: Path) -> dict[str, object]:
    receipt = json.loads(path.read_text(encoding="utf-8"))
    ended = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).replace(microsecond=0)
    kept = {name: receipt.get(name) for name in ("key", "rows_in", "rows_out", "seconds")}
    return {**kept, "ended": ended.isoformat()}
