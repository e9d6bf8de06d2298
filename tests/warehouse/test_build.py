"""Whole builds of the tiny shop, through dbt as it is run in production."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from domain.errors import DataQualityError
from domain.settings import REPOSITORY, Settings
from warehouse.build import build_all, build_days, plan, publish_days
from warehouse.run import dbt_vars, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

DAYS = (date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 5), date(2026, 1, 9))


WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


def another(settings, name):
    return Settings(home=settings.root.parent / name, source=settings.source)


def column(settings, table, name):
    return ds.dataset(settings.marts / table).to_table()[name].to_pylist()


def test_a_build_accounts_for_every_landed_row_and_forgets_the_dirty_days(
    settings, open_shop, events_of
):
    open_shop(settings)
    receipt = build_all(settings)
    landed = sum(len(events_of(day)) for day in DAYS)
    assert receipt.rows_in == landed
    assert receipt.rows_quarantined == len(DAYS)
    assert receipt.details["rejected"] == {"unknown_item": len(DAYS)}
    assert list((settings.lake / "dirty").iterdir()) == []
    assert set(column(settings, "events", "item_id")) == {"i0", "i1", "i2"}
    # u4 is in no snapshot, but has events.
    users = pq.ParquetFile(settings.marts / "users/event_date=2026-01-01/part.parquet").read()
    assert users["user_id"].to_pylist() == ["u0", "u1", "u2", "u3", "u4"]


def test_day_by_day_with_late_rows_gives_the_bytes_of_a_full_rebuild(
    settings, land, open_shop, events_of, published
):
    first, *others = DAYS
    punctual = [row for row in events_of(first) if row["user_id"] != "u2"]
    land(settings, "items", first, [{"item_id": "i0", "title": "Item 0"}])
    land(settings, "events", first, punctual)
    build_days(settings, [first])
    open_shop(settings)  # u2's rows of the first day come late, as do the other items and all users
    for day in DAYS[1:]:
        (settings.lake / "dirty" / day.isoformat()).unlink()
    for day in others:
        build_days(settings, [day])

    again = another(settings, "again")
    open_shop(again)
    build_all(again)
    assert published(settings) == published(again)
    assert "user_features/event_date=2026-01-08/part.parquet" in published(again)


def test_the_same_day_again_touches_no_file(settings, open_shop):
    open_shop(settings)
    build_all(settings)
    receipt = build_days(settings, [DAYS[1]])
    assert sum(receipt.details["files_written"].values()) == 0
    assert sum(receipt.details["files_unchanged"].values()) > 0
    assert receipt.details["days"] == 1


def test_a_day_that_lost_all_its_rows_loses_its_events(settings, land, open_shop):
    open_shop(settings)
    build_all(settings)
    land(settings, "events", DAYS[3], [])
    build_days(settings, [])
    assert not (settings.marts / "events" / f"event_date={DAYS[3]}").exists()
    assert column(settings, "events", "event_id")


def test_a_failing_test_is_named_and_nothing_is_published(settings, land, events_of):
    twice = events_of(DAYS[0])
    land(settings, "events", DAYS[0], [*twice, twice[0]])
    with pytest.raises(
        DataQualityError, match="unique_grain_stg_simulated__events_event_id: Got 1"
    ):
        build_days(settings, [])
    assert not settings.marts.exists()
    assert [mark.name for mark in (settings.lake / "dirty").iterdir()] == ["2026-01-01"]


def test_airflow_runs_dbt_itself_between_plan_and_publish(settings, open_shop, published):
    open_shop(settings)
    plan(settings, [DAYS[3]])
    variables = json.dumps(dbt_vars(settings, [DAYS[3]]))
    assert variables == '{"event_date": "2026-01-09"}'
    ran = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "build", "--vars", variables, *WITHOUT_UNIT_TESTS],
        env={**os.environ, **environment(settings)},
        cwd=REPOSITORY / "dbt",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    publish_days(settings, [DAYS[3]])
    again = another(settings, "again")
    open_shop(again)
    build_all(again)
    assert published(settings) == published(again)


def test_a_build_that_is_killed_is_made_good_by_an_ordinary_one(settings, open_shop, published):
    open_shop(settings)
    process = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", "build", "--all"],
        env={**os.environ, "VITRINE_HOME": str(settings.root), "VITRINE_SOURCE": "simulated"},
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while "interactions ok" not in _progress(settings) and time.monotonic() < deadline:
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not settings.marts.exists()

    build_days(settings, [])
    again = another(settings, "again")
    open_shop(again)
    build_all(again)
    assert published(settings) == published(again)
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as warehouse:
        leftovers = "select table_name from duckdb_tables() where table_name like '%__dbt_%'"
        assert warehouse.sql(leftovers).fetchall() == []


def _progress(settings):
    return settings.progress_log.read_text() if settings.progress_log.exists() else ""
