"""What a home holds, by content: two homes with the same content have been through the same shop.

Left out is what tells when and how often something ran, not what is there: locks, logs, receipts,
times, versions, ids of plans, and the work tables of the last plan.
"""

import hashlib
import json
from pathlib import Path

NOT_CONTENT = ("build_note",)
WORK_TABLES = (
    "int_user_versions",
    "int_online_retail__events",
    "int_item_versions",
    "int_landed_events",
)


def state(home: Path) -> dict[str, object]:
    """Everything of a home that a rerun must bring back, as JSON values."""
    return {
        "lake": _files(home / "lake", but={"dirty", "dirty.lock", "ingest.lock"}),
        "dirty": sorted(path.name for path in (home / "lake" / "dirty").glob("*")),
        "marts": _files(home / "marts"),
        "warehouse": _tables(home / "warehouse.duckdb"),
        "online": _online(home),
    }


def _files(folder: Path, but: frozenset[str] | set[str] = frozenset()) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in but
    }


def _tables(file: Path) -> dict[str, str]:
    """Rows and order-independent hash of every table."""
    if not file.exists():
        return {}
    import duckdb

    with duckdb.connect(str(file), read_only=True) as warehouse:
        names = warehouse.execute("select table_name from duckdb_tables()").fetchall()
        return {
            name: str(
                warehouse.execute(
                    f"select count(*), sum(hash(t)::hugeint) from {name} as t"
                ).fetchall()
            )
            for (name,) in sorted(names)
            if name not in {*NOT_CONTENT, *WORK_TABLES}
        }


def _online(home: Path) -> dict[str, object]:
    """The stamp's day and features, and every published entity's values as a request reads them."""
    stamp = home / "feast" / "stamp.json"
    if not stamp.exists():
        return {}
    import pyarrow.parquet as pq

    from domain.settings import Settings
    from features.online import FeatureReader

    reader = FeatureReader(Settings(home=home))
    found: dict[str, object] = {
        name: value
        for name, value in json.loads(stamp.read_text(encoding="utf-8")).items()
        if name != "version"
    }
    for key, views, read in (
        ("user_id", ("user_features", "user_history"), reader.users),
        ("item_id", ("item_features",), reader.items),
    ):
        ids: set[str] = set()
        for view in views:
            for part in (home / "marts" / view).glob("event_date=*/part.parquet"):
                ids |= set(pq.ParquetFile(part).read([key])[key].to_pylist())
        rows = read(sorted(ids)).to_pylist()
        found[key] = {row[key]: json.dumps(row, default=str, sort_keys=True) for row in rows}
    return found
