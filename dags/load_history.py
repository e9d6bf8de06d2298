"""Load everything a shop has: from its raw files to features that are online.

Run it once, by hand, for a new shop (`vitrine up` does); afterwards `ingest_events` adds one day at
a time. Which shop and where its files are stand in `VITRINE_SOURCE` and `VITRINE_DATA`. The form
asks for **until**, the first day that is not loaded; empty takes every day there is.

Produces: events, user_features, item_features, user_history, retrieval_examples, ranking_examples.
Safe to re-run: what has landed already is landed again with the same bytes, nothing twice.
"""

import pendulum
from airflow.sdk import Param, chain, dag, task

from dags.assets import EVENTS, EXAMPLES, FEATURES


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["vitrine", "data"],
    doc_md=__doc__,
    params={
        "until": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Until",
            description="The first day that is not loaded (UTC); empty: all days.",
        )
    },
    default_args={"retries": 1, "retry_delay": pendulum.duration(seconds=10)},
)
def load_history() -> None:
    """Ingest, check, build, check, materialize: the whole history at once."""

    @task.bash
    def ingest() -> str:
        """Land every day of the source; unfit rows go to quarantine with their reason."""
        return "vitrine ingest --history{% if params.until %} --until {{ params.until }}{% endif %}"

    @task.bash(retries=0)
    def check_landed() -> str:
        """Refuse the history if a landed table breaks its expectations."""
        return "vitrine check landed --all"

    @task.bash(pool="warehouse", outlets=[EVENTS, *EXAMPLES])
    def build() -> str:
        """Run every dbt model over all landed days, reconcile the counts, publish the marts."""
        return "vitrine build --all"

    @task.bash(retries=0)
    def check_features() -> str:
        """Refuse the features if one of their tables breaks its expectations."""
        return "vitrine check features --all"

    @task.bash(outlets=FEATURES)
    def materialize() -> str:
        """Copy the latest features from the offline to the online store."""
        return "vitrine materialize"

    chain(ingest(), check_landed(), build(), check_features(), materialize())


load_history()
