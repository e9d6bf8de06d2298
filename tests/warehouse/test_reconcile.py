from datetime import date

import duckdb
import pytest

from domain.errors import ReconciliationError
from warehouse.reconcile import Reconciled, reconcile

DAY = date(2026, 1, 1)


@pytest.fixture
def warehouse(settings, land, events_of):
    """16 landed rows of DAY, 15 of them in the shop; the warehouse as dbt leaves it."""
    rows = events_of(DAY)
    land(settings, "events", DAY, rows[:-1])
    land(settings, "events", DAY, rows[-1:], source="storefront")
    settings.root.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.execute("create table events (event_date date, source text, event_id text)")
        connection.execute(
            "create table rejected_events (event_date date, source text, reason text)"
        )
        connection.executemany(
            "insert into events values (?, 'simulated', ?)",
            [[DAY, row["event_id"]] for row in rows[:-1]],
        )
        connection.execute("insert into rejected_events values (?, 'storefront', 'bot')", [DAY])
    return len(rows)


def change(settings, sql):
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.execute(sql)


def test_landed_rows_are_events_plus_rejected_events(settings, warehouse):
    assert reconcile(settings, [DAY]) == Reconciled(warehouse, warehouse - 1, 1, {"bot": 1})


def test_one_lost_event_stops_the_build_and_names_day_and_source(settings, warehouse):
    change(settings, "delete from events where event_id = '2026-01-01-1'")
    lost = f"2026-01-01 simulated: {warehouse - 1} landed, but {warehouse - 2} events"
    with pytest.raises(ReconciliationError, match=lost):
        reconcile(settings, [DAY])


def test_an_event_of_one_source_never_makes_up_for_one_of_another(settings, warehouse):
    change(settings, "update rejected_events set source = 'simulated'")
    with pytest.raises(ReconciliationError, match="and 1 more"):
        reconcile(settings, [DAY])


def test_rows_of_a_day_that_was_never_landed_are_found(settings, warehouse):
    change(settings, "insert into events values ('2026-01-02', 'simulated', 'ghost')")
    with pytest.raises(ReconciliationError, match="2026-01-02 simulated: 0 landed, but 1 events"):
        reconcile(settings, [DAY, date(2026, 1, 2)])
