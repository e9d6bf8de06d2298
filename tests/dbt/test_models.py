"""The dbt project as dbt sees it: its manifest, its unit tests, the real shop's yardsticks."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.events import Source
from domain.schemas import LANDED, TIMESTAMP
from domain.settings import REPOSITORY, Settings
from warehouse.plan import make_plan
from warehouse.publish import PUBLISHED
from warehouse.run import build, environment, parse, unit_test

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    TIMESTAMP: "timestamp",
    pa.list_(pa.string()): "varchar[]",
    pa.list_(pa.float32()): "real[]",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), source=Source.ONLINE_RETAIL)


@pytest.fixture(scope="module")
def models(settings):
    manifest = json.loads(parse(settings).read_text())
    nodes = manifest["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


def test_every_mart_promises_the_columns_and_types_of_the_domain(models):
    for table, schema in PUBLISHED.items():
        model = models[table]
        assert model["config"]["contract"]["enforced"], table
        promised = {name: column["data_type"] for name, column in model["columns"].items()}
        assert promised == {
            **{field.name: TYPES[field.type] for field in schema},
            "event_date": "date",
        }, table


def test_every_required_column_of_a_mart_refuses_nulls(models):
    for table, schema in PUBLISHED.items():
        for field in schema:
            kinds = {kind["type"] for kind in models[table]["columns"][field.name]["constraints"]}
            assert ("not_null" in kinds) is not field.nullable, (table, field.name)


def test_every_model_and_column_is_described(models):
    for name, model in models.items():
        assert model["description"], name
        assert all(column["description"] for column in model["columns"].values()), name


def test_nothing_is_written_into_the_project(settings, models):
    listed = subprocess.run(
        ["git", "status", "--porcelain", "--ignored", "dbt"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "target" not in listed.stdout
    assert "logs" not in listed.stdout


def test_windows_ties_and_midnights_hold(settings, models):
    line = {
        "line_id": "l1",
        "invoice_no": "536365",
        "stock_code": "85123A",
        "description": "  WHITE HEART ",
        "quantity": 6,
        "invoiced_at": datetime(2010, 12, 1, 23, 59, tzinfo=UTC),
        "unit_price": 0.285,
        "customer_id": "17850",
        "country": "France",
    }
    land(settings, pa.Table.from_pylist([line], schema=LANDED["online_retail"]["transactions"]))
    build(settings, make_plan(settings, (), is_full=True), progress=lambda *_, **__: None)
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as warehouse:
        item = warehouse.sql("select title, price_cents from items").fetchall()
    # 28.5 cents, half away from zero; 0.285 * 100 is 28.499999999999996.
    assert item == [("WHITE HEART", 29)]
    unit_tests = [
        path for path in (REPOSITORY / "dbt").rglob("*.yml") if "unit_tests:" in path.read_text()
    ]
    assert unit_test(settings) >= len(unit_tests) > 10


def test_the_real_shop_has_the_purchases_that_the_yardsticks_were_measured_on(shared, tmp_path):
    settings = Settings(home=tmp_path / "home", source=Source.ONLINE_RETAIL)
    land(settings, real_lines(shared))
    make_plan(settings, (), is_full=True)
    arguments = ["run", "--select", "+interactions", "--full-refresh"]
    ran = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *arguments],
        env={**os.environ, **environment(settings)},
        cwd=REPOSITORY / "dbt",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as warehouse:
        counted = warehouse.sql(
            "select count(*) from interactions union all "
            "select count(distinct user_id) from interactions where event_date < '2011-11-01' "
            "union all "
            "select count(distinct item_id) from interactions where event_date < '2011-11-01'"
        ).fetchall()
    assert sorted(counted) == [(4_593,), (5_633,), (759_501,)]


def land(settings, lines):
    lines = lines.append_column("event_date", lines["invoiced_at"].cast(pa.date32()))
    days = lines["event_date"].unique().to_pylist()
    lines = lines.sort_by("event_date")
    folder = settings.lake / "online_retail" / "transactions"
    counts = {
        row["values"]: row["counts"] for row in lines["event_date"].value_counts().to_pylist()
    }
    start = 0
    for day in sorted(days):
        part = lines.slice(start, counts[day]).drop_columns("event_date")
        (folder / f"event_date={day}").mkdir(parents=True)
        pq.write_table(part, folder / f"event_date={day}" / "part.parquet")
        start += counts[day]


def real_lines(shared):
    """Both years as ingest lands them; duplicates stay, as they change no count of days."""
    schema = LANDED["online_retail"]["transactions"]
    folder = shared / "data" / "online_retail"
    with duckdb.connect() as reader:
        reader.execute("set TimeZone = 'UTC'")
        rows = reader.sql(
            "with lines as ("
            f"select * from '{folder}/transactions_2009_2010.parquet' "
            "where invoiced_at < '2010-12-01' "
            f"union all select * from '{folder}/transactions_2010_2011.parquet') "
            "select cast(row_number() over () as varchar) as line_id, invoice_no, stock_code, "
            "description, quantity, cast(invoiced_at as timestamptz) as invoiced_at, unit_price, "
            "cast(customer_id as varchar) as customer_id, country from lines"
        ).to_arrow_table()
    return rows.cast(schema)
