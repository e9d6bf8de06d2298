"""Land one day of the shop's events and check it.

The day is the run's **partition key** (`2011-12-09`): by hand, fill in that field of the form;
over a range, use *Backfill*. A live shop (`VITRINE_CLOCK=live`) runs at 02:00 UTC for the day
before. A replayed shop lives in its own time: the schedule ended before it began, and every day
is asked for. (A backfill ends with a *moment*: of a live shop, name the day after the last.)

Produces: events. A day that fails its check stops here, before dbt and Feast.
Safe to re-run: the day is replaced as a whole, with the same bytes.
"""

import pendulum
from airflow.configuration import conf
from airflow.sdk import CronPartitionTimetable, chain, dag, task

from dags.assets import EVENTS

EVENT_DATE = "{{ dag_run.partition_key }}"
LIVE = conf.get("vitrine", "clock", fallback="replay") == "live"


@dag(
    schedule=CronPartitionTimetable(
        "0 2 * * *" if LIVE else "0 0 * * *",
        timezone="UTC",
        run_offset=-1,
        key_format="%Y-%m-%d",
    ),
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    end_date=None if LIVE else pendulum.datetime(2000, 1, 2, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["vitrine", "data"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
)
def ingest_events() -> None:
    """Land, check: in that order, for one event date."""

    @task.bash
    def ingest() -> str:
        """Land the day; unfit rows go to quarantine with their reason."""
        return f"vitrine ingest --day {EVENT_DATE}"

    @task.bash(retries=0, outlets=[EVENTS])
    def check_landed() -> str:
        """Refuse the day if a landed table breaks its expectations."""
        return f"vitrine check landed --day {EVENT_DATE}"

    chain(ingest(), check_landed())


ingest_events()
