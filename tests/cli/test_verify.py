import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.ingest import app as ingest
from cli.verify import app
from domain import dirty
from domain.errors import ReconciliationError
from domain.schemas import EVENTS, ITEM_FEATURES, MARTS, USER_FEATURES, USER_HISTORY
from domain.settings import Settings
from ingest import ledger

TINY = Path(__file__).parents[1] / "fixtures" / "online_retail_tiny.csv"
DAYS = [date(2011, 2, day) for day in (1, 2, 3, 5)]


@pytest.fixture
def shop(monkeypatch, home):
    """The tiny shop, landed."""
    monkeypatch.setenv("VITRINE_SOURCE", "online_retail")
    monkeypatch.setenv("VITRINE_DATA", str(TINY))
    CliRunner().invoke(ingest, ["--history"], catch_exceptions=False)
    return home


@pytest.fixture
def built(shop):
    """What dbt would publish, by hand: lines without a price are rejected, the others events."""
    for day in DAYS:
        name = f"event_date={day}/part.parquet"
        lines = pq.ParquetFile(shop / "lake/online_retail/transactions" / name).read().to_pylist()
        events = [_event(line) for line in lines if line["unit_price"] > 0]
        write(shop / "marts/events" / name, events, EVENTS)
        rejected = [_rejected(line, day) for line in lines if line["unit_price"] <= 0]
        if rejected:
            write(shop / "marts/rejected_events" / name, rejected, None)
    dirty.clear(shop / "lake", DAYS)
    return shop


def _event(line):
    return {
        "event_id": line["line_id"],
        "event_type": "purchase",
        "event_timestamp": line["invoiced_at"],
        "user_id": "20001",
        "item_id": line["stock_code"],
        "source": "online_retail",
    }


def _rejected(line, day):
    return {
        "event_date": day,
        "source": "online_retail",
        "source_id": line["line_id"],
        "reason": "no_price",
    }


def write(path, rows, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def hops():
    """state by hop, from the JSON, which is written whether or not something broke."""
    result = CliRunner().invoke(app, ["--json"])
    return {hop["name"]: hop for hop in json.loads(result.stdout)["hops"]}


def states():
    return {name: hop["state"] for name, hop in hops().items()}


def test_before_anything_happened_nothing_is_claimed():
    assert states() == {
        "lake": "not yet",
        "marts": "not yet",
        "online store": "not yet",
        "contents": "not yet",
        "leftovers": "ok",
    }


@pytest.mark.usefixtures("shop")
def test_what_is_landed_is_ok_and_what_has_not_happened_is_said():
    assert states()["lake"] == "ok"
    assert hops()["marts"]["said"] == "nothing is built"
    assert CliRunner().invoke(app, []).exit_code == 0


@pytest.mark.usefixtures("built")
def test_every_landed_row_in_events_or_rejected_is_ok():
    marts = hops()["marts"]
    # 29 landed lines, 4 of them without a price
    said = "29 landed = 25 events + 4 rejected: no_price 4"
    assert (marts["state"], marts["said"]) == ("ok", said)


def drop_one(rows):
    return rows.slice(1)


def double_one(rows):
    return pa.concat_tables([rows, rows.slice(0, 1)])


def rename_one(rows):
    ids = ["never landed", *rows["event_id"].to_pylist()[1:]]
    return rows.set_column(0, rows.schema.field(0), [ids])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (drop_one, "1 landed rows are in neither events nor rejected_events"),
        (double_one, "1 landed rows are in events or rejected_events more than once"),
        (
            rename_one,
            "1 landed rows are in neither events nor rejected_events, "
            "1 rows of events or rejected_events were never landed",
        ),
    ],
)
def test_a_row_lost_doubled_or_made_by_the_build_is_the_first_break(built, harm, said):
    path = built / "marts/events/event_date=2011-02-03/part.parquet"
    pq.write_table(harm(pq.ParquetFile(path).read()), path)
    with pytest.raises(ReconciliationError) as error:
        CliRunner().invoke(app, [], catch_exceptions=False)
    assert str(error.value) == f"marts online_retail 2011-02-03: {said}"


def test_a_day_that_waits_for_its_build_is_no_break(built):
    shutil.rmtree(built / "marts/events/event_date=2011-02-05")
    shutil.rmtree(built / "marts/rejected_events/event_date=2011-02-05")
    assert states()["marts"] == "broken"
    dirty.mark(built / "lake", DAYS[3])
    assert states()["marts"] == "waiting"
    assert hops()["marts"]["said"].endswith(
        "1 days wait for vitrine build: 2011-02-05 … 2011-02-05"
    )


def test_marts_without_a_lake_came_from_nowhere(built):
    shutil.rmtree(built / "lake")
    assert states()["lake"] == "broken"


def test_the_first_break_is_the_one_nearest_to_the_source(built):
    (built / "lake/online_retail/transactions/event_date=2011-02-01/part.parquet").unlink()
    result = CliRunner().invoke(app, [])
    assert str(result.exception).startswith("lake online_retail.transactions 2011-02-01")
    assert result.exit_code == 1


def test_what_a_killed_run_left_behind_is_named(built):
    (built / "marts" / f".part.parquet.{'0' * 32}.tmp").touch()
    assert states()["leftovers"] == "broken"


def test_a_landed_item_that_was_never_published_is_a_break(home, monkeypatch):
    monkeypatch.setenv("VITRINE_SIMULATOR_PRESET", "debug")
    CliRunner().invoke(ingest, ["--day", "2026-02-16"], catch_exceptions=False)
    day = date(2026, 2, 16)
    lake, marts = home / "lake/simulated", home / "marts"
    for table in ("events", "items", "users"):
        name = f"{table}/event_date={day}/part.parquet"
        rows = pq.ParquetFile(lake / name).read()
        if table == "events":
            rows = rows.append_column("source", [["simulated"] * len(rows)])
        if table == "items":
            rows = rows.slice(1)
        write(marts / name, rows.to_pylist(), MARTS[table])
    dirty.clear(home / "lake", [day])
    (found,) = hops()["marts"]["breaks"]
    assert (found["where"], found["said"][:35]) == (
        "marts items",
        "1 landed items are not published: i",
    )
    assert ledger.entries(home / "lake", "simulated", "items")[day].rows_landed > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Feast and what it brings along
def test_the_online_store_is_held_against_the_newest_published_rows(built):
    from features.materialize import materialize

    publish_features(built, DAYS[0], purchases=1)
    publish_features(built, DAYS[2], purchases=2)
    materialize(Settings())
    assert states()["online store"] == "ok"
    publish_features(built, DAYS[2], purchases=3)
    assert states()["online store"] == "waiting"
    # Remembered as materialized although it was not: what a lost write would look like.
    from features.partitions import remember, signatures
    from features.reading import online_store
    from features.store import VIEWS, open_store

    store = open_store(Settings())
    remember(
        Settings(),
        {view: signatures(Settings(), view) for view in VIEWS},
        generations={
            view: online_store(store).generation(store.config, store.get_feature_view(view))
            for view in VIEWS
        },
    )
    online = hops()["online store"]
    assert online["state"] == "broken"
    assert online["breaks"][0]["said"] == (
        "1 of 1 values of purchase_count_7d differ, the first of 20001"
    )


def publish_features(home, day, *, purchases):
    """One user and one item, as the marts would have them."""
    stands = {
        "event_date": day,
        "event_timestamp": datetime.combine(day, datetime.max.time(), tzinfo=UTC),
        "purchase_count_7d": purchases,
        "history_item_ids": ["90001"],
        "last_interaction_timestamp": datetime(2011, 2, 1, 8, 26, 0, 123_456, tzinfo=UTC),
    }
    tables = {
        "user_features": ("user_id", "20001", USER_FEATURES),
        "item_features": ("item_id", "90001", ITEM_FEATURES),
        "user_history": ("user_id", "20001", USER_HISTORY),
    }
    for table, (key, entity, schema) in tables.items():
        row = {name: value for name, value in stands.items() if name in schema.names}
        path = home / "marts" / table / f"event_date={day}" / "part.parquet"
        write(path, [{key: entity, **row}], schema)
