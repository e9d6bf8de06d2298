"""Whole builds of the tiny shop, through dbt as it is run in production."""

import json
import os
import subprocess
import sys
from datetime import date

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from domain import dirty
from domain.errors import BadInputError, DataQualityError, ReconciliationError
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
    # Again, without a day: as after a kill that came when all was done.
    again = build_days(settings, ())
    assert (again.key, again.rows_in, again.details["days"]) == ("nothing-dirty", 0, 0)


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
    told = {}
    with pytest.raises(DataQualityError, match="int_landed_events_grain: Got 1"):
        build_days(settings, [], tell=lambda result: told.update({_short(result): result.status}))
    assert told["model.int_landed_events"] == "success"
    assert told["test.int_landed_events_grain"] == "fail"
    assert told["model.events"] == "skipped"
    assert not settings.marts.exists()
    assert [mark.name for mark in (settings.lake / "dirty").iterdir()] == ["2026-01-01"]


def _short(result):
    kind, _, name, *_ = result.unique_id.split(".")
    return f"{kind}.{name}"


def test_every_model_and_test_is_told_as_it_ends(settings, land, open_shop):
    open_shop(settings)
    told = []
    build_days(settings, [DAYS[0]], tell=told.append)
    manifest = json.loads((settings.cache / "dbt" / "target" / "manifest.json").read_text())
    shown = {name for name in manifest["nodes"] if not name.startswith("operation.")}
    assert {result.unique_id for result in told} >= shown
    order = [_short(result) for result in told]
    assert order.index("model.events") < order.index("model.user_features")
    assert {result.status for result in told} == {"success", "pass"}


def run_dbt(settings, day):
    """As somebody does who runs dbt alone, between ``--plan`` and ``--publish-only``."""
    variables = json.dumps(dbt_vars(settings, [day]))
    assert variables == f'{{"event_date": "{day}"}}'
    ran = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "build", "--vars", variables, *WITHOUT_UNIT_TESTS],
        env={**os.environ, **environment(settings)},
        cwd=REPOSITORY / "dbt",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_somebody_runs_dbt_alone_and_publishes_only_the_plan_that_was_built(
    settings, land, open_shop, events_of, published
):
    """A second run of the same day plans while dbt of the first one works: late rows came."""
    open_shop(settings)
    land(settings, "events", DAYS[0], events_of(DAYS[0])[:-4])
    plan(settings, [DAYS[3]])
    run_dbt(settings, DAYS[3])
    land(settings, "events", DAYS[0], events_of(DAYS[0]))
    dirty.mark(settings.lake, DAYS[0])
    plan(settings, [DAYS[3]])
    with pytest.raises(BadInputError, match="dbt has not built plan"):
        publish_days(settings, [DAYS[3]])
    assert not settings.marts.exists()
    assert DAYS[0] in dirty.days(settings.lake)
    run_dbt(settings, DAYS[3])
    publish_days(settings, [DAYS[3]])
    assert dirty.days(settings.lake) == []
    again = another(settings, "again")
    open_shop(again)
    build_all(again)
    assert published(settings) == published(again)


def test_a_lake_that_is_not_what_its_ledger_says_is_not_published(settings, open_shop, events_of):
    """An ingest was killed between a day's file and the ledger; only ingest can put it right."""
    open_shop(settings)
    entry = {"event_date": DAYS[1], "rows_landed": len(events_of(DAYS[1])) + 1}
    path = settings.lake / "ledger" / "simulated" / "events.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([entry]), path)
    with pytest.raises(ReconciliationError, match="2026-01-02 simulated: the ledger says"):
        build_days(settings, [])
    assert not settings.marts.exists()
    assert dirty.days(settings.lake) == list(DAYS)
