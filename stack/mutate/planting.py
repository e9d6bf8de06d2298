"""Copies of a shop, and a mutation's fault put into one of them."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from domain.files import replacing_file
from domain.schemas import LANDED, MARTS
from domain.settings import REPOSITORY
from ingest import content, ledger
from quality.mutations.kinds import Delivery

_LINKED = ("lake", "marts")
_COPIED = ("event_log", "warehouse.duckdb", "cache/build_plan.json")


def copy_home(home: Path, to: Path) -> None:
    """A copy to write in, in place of the last one.

    Files of rows are linked. What dbt remembers of its project stays:
    at the same path it need not read all of it again.
    """
    for name in (*_LINKED, *_COPIED, "quality"):
        shutil.rmtree(to / name, ignore_errors=True)
    # A killed run's log must not be replayed into another database.
    (to / "warehouse.duckdb.wal").unlink(missing_ok=True)
    for name in _LINKED:
        if (home / name).exists():
            shutil.copytree(home / name, to / name, copy_function=_link)
    shutil.copytree(home / "event_log", to / "event_log")
    for name in _COPIED[1:]:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).unlink(missing_ok=True)
        if (home / name).exists():
            shutil.copy2(home / name, to / name)


def _link(source: str, to: str) -> None:
    """Rows are only replaced as whole files; marks and locks are written in place."""
    copy = os.link if source.endswith(".parquet") else shutil.copy2
    copy(source, to)


def copy_data(data: Path, to: Path) -> None:
    """The source's files; the copy's are replaced, never written in."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(data, to, copy_function=os.link)


def deliver(delivery: Delivery, data: Path, event_log: Path) -> None:
    """Put a day's delivery beside what the source handed over before."""
    for table, rows in delivery.tables.items():
        form = delivery.forms.get(table, "parquet")
        is_snapshot = table in ("items", "users")
        for old in data.glob(f"{table}.*") if is_snapshot else ():
            old.unlink()
        path = data / f"{table if is_snapshot else f'{table}_{delivery.day}'}.{form}"
        _write(rows, path, form)
        _harm(path, delivery, table)
    for name, rows in delivery.files.items():
        rows.write_parquet(data / f"{name}.parquet")
    log = event_log / f"event_date={delivery.day}" / "1.jsonl"
    if delivery.log:
        with log.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in delivery.log)


def _write(rows: pl.DataFrame, path: Path, form: str) -> None:
    if form == "csv":
        rows.write_csv(path)
    elif form == "jsonl":
        rows.write_ndjson(path)
    else:
        rows.write_parquet(path)


def _harm(path: Path, delivery: Delivery, table: str) -> None:
    kept = delivery.kept.get(table, 1.0)
    if kept < 1:
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content))])
    if delivery.broken_line and table == "events":
        with path.open("a", encoding="utf-8") as file:
            file.write(delivery.broken_line + "\n")


@dataclass(frozen=True)
class Place:
    """One day's file of a landed table or a mart."""

    path: Path
    schema: pa.Schema


def landed(lake: Path, source: str, table: str, day: date) -> Place:
    """Where a landed day stands."""
    path = lake / source / table / f"event_date={day}" / "part.parquet"
    return Place(path, LANDED[source][table])


def published(marts: Path, table: str, day: date) -> Place:
    """Where a published day stands."""
    return Place(marts / table / f"event_date={day}" / "part.parquet", MARTS[table])


def rewrite(place: Place, rows: pl.DataFrame) -> None:
    """Replace a day's file. The schema's types are kept, whatever became of the values."""
    schema = pa.schema([field.with_nullable(True) for field in place.schema])
    with replacing_file(place.path) as aside:
        pq.write_table(rows.select(schema.names).to_arrow().cast(schema), aside)


def agree(lake: Path, source: str, table: str, day: date) -> None:
    """Make the ledger say what lies in the lake, as whoever wrote it there would have."""
    rows = pq.ParquetFile(landed(lake, source, table, day).path).read()
    known = ledger.entries(lake, source, table)
    more = len(rows) - known[day].rows_landed
    told = replace(
        known[day],
        rows_in=known[day].rows_in + more,
        rows_landed=len(rows),
        content_hash=content.table_hash(rows),
    )
    ledger.write(lake, source, table, known | {day: told})


def dbt_project(to: Path, *, model: str = "", sql: str = "", without_test: str = "") -> Path:
    """A copy of the dbt project, perhaps with one model wrapped or one test taken away.

    Raises:
        ValueError: If there is no such model or test.
    """
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(REPOSITORY / "dbt", to)
    if model:
        (path,) = (to / "models").rglob(f"{model}.sql")
        whole = path.read_text(encoding="utf-8")
        path.write_text(f"with whole as (\n{whole}\n)\n\n{sql}\n", encoding="utf-8")
    if without_test:
        found = [path for path in (to / "models").rglob("*.yml") if _drop(path, without_test)]
        if not found:
            raise ValueError(f"no dbt test is called {without_test}")
    return to


def _drop(path: Path, test: str) -> bool:
    """Take the test of that name out of a model's file."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    is_found = False
    for model in content["models"]:
        for holder in (model, *model.get("columns", ())):
            tests = holder.get("data_tests", [])
            kept = [one for one in tests if next(iter(one.values())).get("name") != test]
            is_found |= len(kept) < len(tests)
            holder["data_tests"] = kept
    if is_found:
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return is_found
