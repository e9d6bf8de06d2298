"""Bad input to ``vitrine up`` is one sentence, an exit code, and nothing half done."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def _up(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VITRINE_HOME": str(home), **variables}
    return subprocess.run(
        [Path(sys.executable).parent / "vitrine", "up", "--once", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )


def _left(home: Path) -> set[str]:
    return {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()} - {"logs/up.lock"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--source", "amazon"), "no source 'amazon'"),
        (("--source", "online_retail"), "needs a folder or a file"),
        (("--source", "files", "--data", "/nowhere/at/all"), "no such file or folder"),
    ],
)
def test_a_source_that_cannot_be_had(home: Path, arguments: tuple[str, ...], sentence: str) -> None:
    told = _up(home, *arguments)

    assert told.returncode == 2
    assert sentence in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert _left(home) == set()


def test_a_taken_port(home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = str(holder.getsockname()[1])

        told = _up(home, VITRINE_AIRFLOW_PORT=taken)

    assert told.returncode == 2
    assert f"port {taken} for Airflow is taken" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert _left(home) == set()
