"""Airflow with its metadata on PostgreSQL, made ready and started the way deploy/ does it."""

import sys
from pathlib import Path

import psycopg
import pytest

from stack.airflow_api import AirflowApi
from stack.boot import DAGS
from stack.environment import AIRFLOW_USER, airflow_password, database_files
from stack.services import address, airflow_services
from stack.waiting import wait_until
from tests.servers import postgres_url
from tests.stack.miniature import Stack, follower, miniature

pytestmark = pytest.mark.slow

DAY = "2026-03-01"


def test_a_day_runs_on_postgres_and_nothing_is_kept_in_sqlite(tmp_path: Path) -> None:
    with (
        postgres_url() as url,
        miniature(tmp_path, airflow_database=url) as (settings, supervisor),
    ):
        supervisor.environment |= {
            "VITRINE_AIRFLOW_DATABASE": url,  # what only the person who starts it knows
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        }
        supervisor.run_together({"prepare": (sys.executable, "-m", "stack.prepare")})
        for part in airflow_services():
            supervisor.start(part)
        api = AirflowApi(
            address(settings, settings.airflow_port),
            user=AIRFLOW_USER,
            password=airflow_password(settings),
        )
        assert wait_until(api.is_healthy, timeout_s=180)
        assert wait_until(lambda: api.has_dags(DAGS), timeout_s=120)
        stack = Stack(api, supervisor, follower(settings, supervisor, api), tmp_path, 0)

        stack.finish(api.trigger("ingest_events", partition_key=DAY))
        stack.finish_features(DAY)

        assert stack.calls()[-1] == f"materialize --day {DAY}"
        with psycopg.connect(url) as connection:
            runs = connection.execute("select dag_id, state from dag_run order by 1").fetchall()
        assert runs == [("build_features", "success"), ("ingest_events", "success")]
        assert not list(settings.airflow.glob("*.db"))
        for path in database_files(settings).values():
            assert path.stat().st_mode & 0o077 == 0
        api.close()
