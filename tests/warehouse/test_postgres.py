"""PostgreSQL as the warehouse: what goes in comes back exactly, and nobody else's is touched."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pytest

from domain.clock import wall_now
from domain.errors import BadInputError, DataQualityError
from domain.schemas import LANDED, TIMESTAMP
from domain.settings import Settings
from ingest.run import ingest
from tests.servers import postgres_url
from warehouse import run
from warehouse.build import build_all
from warehouse.connection import open_warehouse
from warehouse.identity import must_build_whole, remember_warehouse
from warehouse.load import load
from warehouse.plan import Plan, make_plan
from warehouse.postgres import connect

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)
TEXTS = [
    "",
    None,
    "plain",
    'a "quoted", one',
    "two\nlines\r\n",
    "\\N",
    "tab\t",
    "ä€😀",
    "{a,b}",
    "''",
]


@pytest.fixture
def database() -> Iterator[str]:
    """A database that sorts texts as people do."""
    with postgres_url(options="locale_provider icu icu_locale 'en-US'") as url:
        yield url


@pytest.fixture
def settings(home: Path, database: str) -> Settings:
    return Settings(home=home, source="simulated", warehouse=database)


def plan(*days: date) -> Plan:
    return Plan(days, days, days[0], days[-1], is_full=False)


def rows(settings: Settings, query: str) -> list[tuple]:
    with open_warehouse(settings) as warehouse:
        return warehouse.rows(query)


def test_every_landed_value_arrives_as_it_is(settings, land):
    day = [
        {
            "event_id": f"e{number}",
            "event_type": "search",
            "event_timestamp": datetime(2026, 1, 1, 23, 59, 59, 999_999 - number, tzinfo=UTC),
            "user_id": f"u{number}",
            "query_text": text,
            "unit_price_cents": -(2**62) + number,
            "propensity": [0.1, 1 / 3, 5e-324, None][number % 4],
        }
        for number, text in enumerate(TEXTS)
    ]
    land(settings, "events", ONE, day)
    land(settings, "events", TWO, [{**day[0], "event_id": "other day"}])
    assert load(settings, plan(ONE)) == len(TEXTS)
    names = LANDED["simulated"]["events"].names
    found = rows(settings, f"select {', '.join(names)} from vitrine_landed.simulated_events")
    expected = {row["event_id"]: tuple(row.get(name) for name in names) for row in day}
    assert {row[0]: row for row in found} == expected


def test_a_load_leaves_nothing_of_the_last_one(settings, land):
    for day in (ONE, TWO):
        land(settings, "items", day, [{"item_id": f"i{day.day}", "title": "Item"}])
    load(settings, plan(ONE))
    load(settings, plan(TWO))
    assert rows(settings, "select item_id from vitrine_landed.simulated_items") == [("i2",)]
    assert rows(settings, "select days from vitrine_landed.build_plan") == [("2026-01-02",)]


def test_every_built_value_comes_back_as_it_is(settings):
    schema = pa.schema(
        [
            pa.field("id", pa.int32()),
            pa.field("event_date", pa.date32()),
            pa.field("moment", TIMESTAMP),
            pa.field("text", pa.string()),
            pa.field("is_true", pa.bool_()),
            pa.field("number", pa.float64()),
            pa.field("texts", pa.list_(pa.string())),
            pa.field("weights", pa.list_(pa.float32())),
        ]
    )
    weights = [float(np.float32(x)) for x in (0.1, 1 / 3, 1e-38, 3.4e38, 16_777_216.0, -0.0)]
    moments = [
        datetime(2026, 1, 1, 1, 2, 3, n * 123_450 % 1_000_000, tzinfo=UTC) for n in range(10)
    ]
    lists = [[], None, ["a", ""], *([text or "x"] for text in TEXTS[3:])]
    made = pa.table(
        {
            "id": range(10),
            "event_date": [ONE] * 10,
            "moment": moments,
            "text": TEXTS,
            "is_true": [True, False, None] * 3 + [True],
            "number": [0.1, 1 / 3, 5e-324, 1e308, None, -0.0, 2.0**53, 1.5, -1e-7, 123456789.123],
            "texts": lists,
            "weights": [[], None, weights, *([w] for w in weights), [1.0]],
        },
        schema=schema,
    )
    with connect(settings) as connection:
        connection.execute("create schema vitrine")
        connection.execute(
            "create table vitrine.made (id int, event_date date, moment timestamp, text text, "
            "is_true boolean, number double precision, texts text[], weights real[])"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into vitrine.made values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    tuple(v.replace(tzinfo=None) if k == "moment" else v for k, v in row.items())
                    for row in made.to_pylist()
                ],
            )
    with open_warehouse(settings) as warehouse:
        (read,) = warehouse.days("made", schema, first=ONE, last=ONE, order="id")
        nothing = list(warehouse.days("made", schema, first=TWO, last=TWO, order="id"))
    assert read.cast(schema).to_pylist() == made.to_pylist()
    assert np.array_equal(
        np.signbit(read["number"].to_numpy()), np.signbit(made["number"].to_numpy())
    )
    assert nothing == []


@pytest.mark.slow
def test_dbt_refuses_days_that_were_not_copied(settings, land):
    land(settings, "events", ONE, [])
    made = make_plan(settings, [ONE], is_full=False)
    with pytest.raises(DataQualityError, match="no build plan"):
        run.build(settings, made, progress=lambda *_, **__: None)
    load(settings, plan(TWO))
    with pytest.raises(DataQualityError, match=r"2026-01-01 was not copied into PostgreSQL"):
        run._invoke(
            settings,
            ["run", "--select", "staging", "--vars", '{"days": ["2026-01-01"]}'],
            on_event=lambda event: None,
        )


def built(settings: Settings) -> None:
    """A home that built and published a day here."""
    day = settings.marts / "events" / f"event_date={ONE}" / "part.parquet"
    day.parent.mkdir(parents=True, exist_ok=True)
    day.touch()
    if settings.dbt_target == "duckdb":
        with duckdb.connect(str(settings.warehouse_file)) as warehouse:
            warehouse.execute("create table events as select 'e1' as event_id")
    remember_warehouse(settings)


def test_a_database_belongs_to_one_home(settings, tmp_path):
    built(settings)
    assert not must_build_whole(settings)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    other = Settings(**other.model_dump())
    with pytest.raises(BadInputError, match="another home"):
        must_build_whole(other)
    shutil.rmtree(settings.root)  # A fresh start in a database that is not fresh.
    with pytest.raises(BadInputError, match="another home"):
        build_all(settings)


def test_a_warehouse_that_lacks_days_is_built_whole(settings, database):
    embedded = Settings(home=settings.home, source="simulated")
    assert not must_build_whole(settings)  # Nothing was built anywhere.
    built(embedded)
    assert not must_build_whole(embedded)
    assert must_build_whole(settings)
    built(settings)
    assert not must_build_whole(settings)
    assert must_build_whole(embedded)  # It missed what was built in PostgreSQL since.
    with psycopg.connect(database) as connection:  # Somebody made the database anew.
        connection.execute("drop schema vitrine_landed cascade")
    assert must_build_whole(settings)


def test_a_server_that_is_not_there_is_one_sentence(home):
    away = Settings(home=home, warehouse="postgresql://nobody:hunter2@127.0.0.1:9/none")
    with pytest.raises(BadInputError, match="cannot be reached") as told:
        build_all(away)
    assert "hunter2" not in str(told.value)


@pytest.mark.slow
def test_the_real_shops_lines_give_the_bytes_of_duckdb(settings, published):
    data = Path(__file__).parents[1] / "fixtures" / "online_retail_tiny.csv"
    both = []
    for name, warehouse in (("embedded", "duckdb"), ("postgres", settings.warehouse)):
        shop = Settings(
            home=settings.root / name, source="online_retail", data=data, warehouse=warehouse
        )
        ingest(shop, now=wall_now())
        build_all(shop)
        both.append(published(shop))
    assert both[0] == both[1]
    assert len(both[0]) > 10
