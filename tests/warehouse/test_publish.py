from datetime import date

import duckdb
import pyarrow.parquet as pq
import pytest

from domain.schemas import MARTS
from warehouse.plan import Plan
from warehouse.publish import GRAINS, LOOKING_BACK, PUBLISHED, publish

ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)
DUCKDB_TYPES = {
    "string": "varchar",
    "int32": "integer",
    "int64": "bigint",
    "double": "double",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
    "list<item: string>": "varchar[]",
    "list<element: string>": "varchar[]",
    "list<item: float>": "float[]",
    "list<element: float>": "float[]",
}


def plan(*days):
    return Plan(days, days, days[0], days[-1], is_full=False)


def sql(settings, *statements):
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def warehouse(settings):
    """All marts, empty but for interactions: two rows on each of two days, in no order."""
    settings.root.mkdir(parents=True, exist_ok=True)
    for table, schema in PUBLISHED.items():
        columns = {field.name: DUCKDB_TYPES[str(field.type)] for field in schema}
        columns.setdefault("event_date", "date")
        made = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        sql(settings, f"create table {table} ({made})")
    rows = ", ".join(
        f"('{user}', 'i', '{day}', '{day} 10:00:00', 'click', 1, null, null)"
        for day in (TWO, ONE)
        for user in ("b", "a")
    )
    sql(settings, f"insert into interactions values {rows}")
    return settings


def file(settings, table, day):
    return settings.marts / table / f"event_date={day}" / "part.parquet"


def test_every_mart_has_a_grain_and_a_way_to_be_replaced():
    assert set(GRAINS) == set(PUBLISHED) == {*MARTS, "rejected_events"}
    assert set(PUBLISHED) > LOOKING_BACK


def test_a_published_day_has_exactly_the_schema_and_is_sorted_by_its_grain(warehouse):
    publish(warehouse, plan(ONE, TWO))
    rows = pq.ParquetFile(file(warehouse, "interactions", ONE)).read()
    assert rows.schema.equals(MARTS["interactions"])
    assert rows["user_id"].to_pylist() == ["a", "b"]
    assert [moment.isoformat() for moment in rows["event_timestamp"].to_pylist()] == [
        "2026-01-01T10:00:00+00:00"
    ] * 2


def test_an_unchanged_day_is_not_touched_and_a_changed_one_is_replaced(warehouse):
    publish(warehouse, plan(ONE, TWO))
    untouched = file(warehouse, "interactions", ONE).stat().st_mtime_ns
    sql(warehouse, f"update interactions set item_id = 'j' where event_date = '{TWO}'")
    published = publish(warehouse, plan(ONE, TWO))
    assert published.written["interactions"] == 1
    assert published.unchanged["interactions"] == 1
    assert file(warehouse, "interactions", ONE).stat().st_mtime_ns == untouched
    assert pq.ParquetFile(file(warehouse, "interactions", TWO)).read()["item_id"].to_pylist() == [
        "j",
        "j",
    ]


def test_only_the_planned_days_are_published(warehouse):
    publish(warehouse, plan(TWO))
    assert not file(warehouse, "interactions", ONE).exists()
    assert file(warehouse, "interactions", TWO).exists()


def test_a_day_that_became_empty_disappears(warehouse):
    publish(warehouse, plan(ONE, TWO))
    sql(warehouse, f"delete from interactions where event_date = '{TWO}'")
    published = publish(warehouse, plan(TWO))
    assert published.removed["interactions"] == 1
    assert not file(warehouse, "interactions", TWO).parent.exists()
    assert file(warehouse, "interactions", ONE).exists()
