"""Train the models, judge them, and let the better one go live.

By hand: the form asks for **cutoff** (the first moment the models may not see; empty: 7 days before
the day after the last landed one), **preset** and **reason**. A live shop retrains every Monday at
04:00 UTC. Whatever else wants a retrain asks for the asset `release` (*Materialize* on its page, or
`POST /api/v2/assets/{id}/materialize`), and Airflow runs this Dag.

Produces: release. If the gate refuses the challenger, the task `release` fails, says why, and the
champion stays live. Safe to re-run: a killed training resumes from its checkpoint.
"""

import pendulum
from airflow.configuration import conf
from airflow.sdk import CronTriggerTimetable, Param, chain, dag, task

from dags.assets import EXAMPLES, FEATURES, RELEASE

RUN = "{{ dag_run.run_after | ts_nodash }}"
LIVE = conf.get("vitrine", "clock", fallback="replay") == "live"
CUTOFF = Param(
    None, type=["null", "string"], format="date", title="Cutoff", description="YYYY-MM-DD (UTC)."
)
PRESET = Param(
    None,
    type=["null", "string"],
    enum=[None, "debug", "base", "small"],
    title="Preset",
    description="How the models are trained; empty: the shop's own (VITRINE_PRESET).",
)
REASON = Param("", type="string", title="Reason", description="Why now? Kept with this run.")


@dag(
    schedule=CronTriggerTimetable("0 4 * * 1", timezone="UTC") if LIVE else None,
    start_date=pendulum.datetime(2000, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["vitrine", "models"],
    doc_md=__doc__,
    params={"cutoff": CUTOFF, "preset": PRESET, "reason": REASON},
    default_args={"retries": 1, "retry_delay": pendulum.duration(seconds=30)},
)
def train_models() -> None:
    """Check, train, evaluate, release: one challenger."""

    @task.bash(retries=0, inlets=[*EXAMPLES, *FEATURES])
    def check_examples() -> str:
        """Refuse the training examples if they break their expectations."""
        return "vitrine check examples"

    @task.bash
    def train() -> str:
        """Fit retrieval, ranking and their fusion on everything before the cutoff."""
        options = "{% if params.cutoff %} --until {{ params.cutoff }}{% endif %}"
        options += "{% if params.preset %} --preset {{ params.preset }}{% endif %}"
        return f"vitrine train --run {RUN}{options}"

    @task.bash
    def evaluate() -> str:
        """Judge every model on the days after the cutoff and write the report."""
        return f"vitrine evaluate --run {RUN}"

    @task.bash(retries=0, outlets=[RELEASE])
    def release() -> str:
        """Gate, bundle, second check on the real server, ledger: or a refusal that says why."""
        return f"vitrine release --run {RUN}"

    chain(check_examples(), train(), evaluate(), release())


train_models()
