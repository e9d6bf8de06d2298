"""Build one day of features and put them online.

Runs when `events` has a new day; the day is that run's **partition key** (by hand: that field of
the form). One `dbt build` runs all models; every model is a task of the group `dbt`, with its
result and its SQL.

Produces: user_features, item_features, user_history, retrieval_examples, ranking_examples.
Safe to re-run: every step replaces exactly the day it is given. A day that fails a dbt test, the
reconciliation or its check is never materialized.
"""

import pendulum
from airflow.sdk import PartitionedAssetTimetable, chain, dag, task

from dags.assets import EVENTS, EXAMPLES, FEATURES
from dags.transform import dbt_models

EVENT_DATE = "{{ dag_run.partition_key }}"


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
    """Plan, transform, publish, check, materialize: in that order, for one event date."""

    @task.bash(pool="warehouse")
    def plan() -> str:
        """List the days to build: this one and those that late events made dirty."""
        return f"vitrine build --plan --day {EVENT_DATE}"

    @task.bash(pool="warehouse", outlets=EXAMPLES)
    def publish() -> str:
        """Reconcile the row counts and publish the marts as Parquet."""
        return f"vitrine build --publish-only --day {EVENT_DATE}"

    @task.bash(retries=0)
    def check_features() -> str:
        """Refuse the day if a feature table breaks its expectations."""
        return f"vitrine check features --day {EVENT_DATE}"

    @task.bash(outlets=FEATURES)
    def materialize() -> str:
        """Copy the day's features from the offline to the online store."""
        return f"vitrine materialize --day {EVENT_DATE}"

    chain(plan(), dbt_models(EVENT_DATE), publish(), check_features(), materialize())


build_features()
