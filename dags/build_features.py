"""Build one day of features and put them online.

Runs when `events` has a new day; the day is that run's **partition key** (by hand: that field of
the form). One `dbt build` runs all models; every model is a task of the group `dbt` that shows
what became of it and of its tests (*Logs*) and its SQL (*Docs*). To build again, clear `build`.

Produces: user_features, item_features, user_history, retrieval_examples, ranking_examples.
Safe to re-run: every step replaces exactly the day it is given. A day that fails a dbt test, the
reconciliation or its check is never materialized.
"""

import pendulum
from airflow.sdk import PartitionedAssetTimetable, chain, dag, task

from dags.assets import EVENTS, EXAMPLES, FEATURES
from dags.shown.group import dbt_models

EVENT_DATE = "{{ dag_run.partition_key }}"
RUN = "{{ dag_run.run_id }}"


@dag(
    schedule=PartitionedAssetTimetable(assets=EVENTS),
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["vitrine", "features"],
    doc_md=__doc__,
    default_args={"retries": 1, "retry_delay": pendulum.duration(seconds=10)},
)
def build_features() -> None:
    """Build, check, materialize: in that order, for one event date."""

    @task.bash(pool="warehouse", outlets=EXAMPLES)
    def build() -> str:
        """Plan the days (this one, and those late events made dirty), run dbt, count, publish."""
        return f"vitrine build --day {EVENT_DATE} --run {RUN}"

    @task.bash(retries=0)
    def check_features() -> str:
        """Refuse the day if a feature table breaks its expectations."""
        return f"vitrine check features --day {EVENT_DATE}"

    @task.bash(outlets=FEATURES)
    def materialize() -> str:
        """Copy the day's features from the offline to the online store."""
        return f"vitrine materialize --day {EVENT_DATE}"

    built = build()
    built >> dbt_models(built_by="build")
    chain(built, check_features(), materialize())


build_features()
