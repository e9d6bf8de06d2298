"""A part of the shop that something else starts sees what ``vitrine up`` would have told it."""

import os
import subprocess
import sys
from pathlib import Path

from domain.settings import Settings


def _within(home: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack.within", *command],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "VITRINE_HOME": str(home), **variables},
    )


def test_a_command_sees_airflows_settings_and_no_secret(home: Path) -> None:
    ran = _within(home, "env", VITRINE_AIRFLOW_DATABASE="postgresql://a:hunter2@db/airflow")

    told = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
    assert told["AIRFLOW_HOME"] == str(Settings().airflow)
    assert told["VITRINE_HOME"] == str(home)
    assert told["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"].startswith("cat ")
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in told
    assert "hunter2" not in ran.stdout


def test_it_ends_as_the_command_ends(home: Path) -> None:
    assert _within(home, "false").returncode == 1
    assert "which command" in _within(home).stderr
