"""Law L2: a hop that should not change content has not. One hash on each side, per table and day.

The hash of a day is the sum of its rows' hashes: it does not know their order, and the sum of the
whole is that of its parts (landed = events + rejected). DuckDB computes both sides, each value in
the type that ``domain.schemas`` gives it.

* landed → warehouse: every accepted row of a source that speaks our words already, all its columns;
  of a source with words of its own (its rows are translated) the id and the moment;
* warehouse → published Parquet: every column of every mart;
* published Parquet → what Feast's offline store reads: every feature of every view.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Final

import duckdb
import pyarrow as pa

from domain.events import Source
from domain.files import is_held
from domain.schemas import EVENTS, LANDED, LANDED_EVENTS, MARTS
from domain.settings import Settings
from ingest.audit import Break
from ingest.rules import ID_COLUMN, TIME_COLUMN
from stack.hops import VIEW_KEYS, Hop, judged
from warehouse.publish import PUBLISHED
from warehouse.reconcile import EVENT_TABLES

Sums = Mapping[date, tuple[int, int]]
"""Day → rows and the sum of their hashes."""

_OUR_WORDS: Final = frozenset(
    name for name, tables in LANDED.items() if tables.get("events") is LANDED_EVENTS
)


def contents(settings: Settings, *, waiting: frozenset[date]) -> Hop:
    """Compare the content of every hop. ``waiting``: days whose build is still to come."""
    if settings.dbt_target != "duckdb":
        return Hop("contents", "not here", 0, "the warehouse is a server's: compared at each build")
    if not settings.warehouse_file.exists():
        return Hop("contents", "not yet", 0, "nothing is built in a warehouse file")
    if is_held(settings.root / "warehouse.lock"):
        return Hop("contents", "waiting", 0, "a build is running")
    with closing(duckdb.connect(str(settings.warehouse_file), read_only=True)) as warehouse:
        warehouse.execute("set TimeZone = 'UTC'")
        breaks = [*_landed(settings, warehouse, waiting), *_published(settings, warehouse, waiting)]
        rows = sum(rows for rows, _ in _sums(warehouse, "events", EVENTS).values())
    breaks += _read_by_feast(settings)
    said = f"{rows:,} events and {len(PUBLISHED)} marts hash alike from the lake to Feast"
    return judged("contents", rows, said if not breaks else "hashes differ", breaks, "")


def _landed(
    settings: Settings, warehouse: duckdb.DuckDBPyConnection, waiting: frozenset[date]
) -> Iterator[Break]:
    for source in (settings.source, Source.STOREFRONT):
        table = EVENT_TABLES[source]
        files = settings.lake / source / table / "event_date=*" / "part.parquet"
        if not any((settings.lake / source / table).glob("event_date=*/part.parquet")):
            continue
        key, moment = ID_COLUMN[table], TIME_COLUMN[table]
        if source in _OUR_WORDS:
            names = {name: name for name in LANDED_EVENTS.names}
        else:
            names = {key: "event_id", moment: "event_timestamp"}
        schema = LANDED[source][table]
        refused = f"select source_id from rejected_events where source = '{source}'"
        landed = (
            f"(select {', '.join(names)}, cast(event_date as date) as event_date "
            f"from read_parquet('{files}', hive_partitioning = true) "
            f"where {key} not in ({refused}))"
        )
        events = f"(select * from events where source = '{source}')"
        yield from _differences(
            f"landed {source}.{table} → warehouse",
            _sums(warehouse, landed, pa.schema([schema.field(name) for name in names])),
            _sums(warehouse, events, pa.schema([EVENTS.field(name) for name in names.values()])),
            waiting,
        )


def _published(
    settings: Settings, warehouse: duckdb.DuckDBPyConnection, waiting: frozenset[date]
) -> Iterator[Break]:
    for table, schema in PUBLISHED.items():
        published = (
            _sums(warehouse, _marts(settings, table), schema)
            if any((settings.marts / table).glob("event_date=*/part.parquet"))
            else {}
        )
        held = _sums(warehouse, table, schema)
        yield from _differences(f"warehouse {table} → marts", held, published, waiting)


def _read_by_feast(settings: Settings) -> Iterator[Break]:
    """What Feast's own offline store hands over, against the files."""
    if not (settings.feast / "registry.db").exists() and not settings.registry:
        return
    from features.quiet import quiet
    from features.store import open_store

    store = open_store(settings)
    with closing(duckdb.connect()) as memory:
        memory.execute("set TimeZone = 'UTC'")
        for name, key in VIEW_KEYS.items():
            if not any((settings.marts / name).glob("event_date=*/part.parquet")):
                continue
            view = store.get_feature_view(name)
            columns = [feature.name for feature in view.features]
            with quiet():
                job = store._get_provider().offline_store.pull_all_from_table_or_query(
                    config=store.config,
                    data_source=view.batch_source,
                    join_key_columns=[key],
                    feature_name_columns=columns,
                    timestamp_field="event_timestamp",
                    start_date=datetime(1970, 1, 1, tzinfo=UTC),
                    end_date=datetime(9999, 1, 1, tzinfo=UTC),
                )
                read = job.to_arrow()
            schema = pa.schema(
                [MARTS[name].field(column) for column in (key, "event_timestamp", *columns)]
            )
            memory.register("read", read)
            by_day = "(select *, cast(event_timestamp as date) as event_date from read)"
            yield from _differences(
                f"marts {name} → Feast",
                _sums(memory, _marts(settings, name), schema),
                _sums(memory, by_day, schema),
                frozenset(),
            )
            memory.unregister("read")


def _marts(settings: Settings, table: str) -> str:
    files = settings.marts / table / "event_date=*" / "part.parquet"
    days = "hive_partitioning = true, hive_types = {'event_date': date}"
    return f"read_parquet('{files}', {days})"


def _sums(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> Sums:
    values = ", ".join(_typed(field) for field in schema)
    rows = connection.execute(
        f"select event_date, count(*), sum(hash({values})::hugeint) from {table} "
        "group by event_date"
    ).fetchall()
    return {day: (count, total) for day, count, total in rows}


def _typed(field: pa.Field) -> str:
    """The column in one form on both sides: moments in microseconds, numbers in one width."""
    kind, name = field.type, field.name
    if pa.types.is_timestamp(kind):
        return f"epoch_us({name})"
    if pa.types.is_integer(kind):
        return f"cast({name} as bigint)"
    if pa.types.is_list(kind):
        inner = "varchar" if pa.types.is_string(kind.value_type) else "float"
        return f"cast({name} as {inner}[])"
    return name


def _differences(
    where: str, before: Sums, after: Sums, waiting: frozenset[date]
) -> Iterator[Break]:
    for day in sorted({*before, *after} - waiting):
        if before.get(day) != after.get(day):
            rows = [found[day][0] if day in found else 0 for found in (before, after)]
            said = f"{rows[0]} rows became {rows[1]}" if rows[0] != rows[1] else "content changed"
            yield Break(where, day, said)
