"""Two ingests at once, and what a killed one leaves behind. Kills: tests/end_to_end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domain.files import leftovers, sweep

ROOT = Path(__file__).parents[2]


def start(home: Path, data: Path, *arguments: str) -> subprocess.Popen[bytes]:
    code = "from cli.main import main; main()"
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            "ingest",
            "--source",
            "files",
            "--data",
            str(data),
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "VITRINE_HOME": str(home), "POLARS_MAX_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def many_days(events):
    """Two hundred days of three events: enough for a kill to hit in the middle."""
    return [
        dict(row, event_timestamp=f"2025-{month:02}-{day:02}T10:00:00Z", quantity=n)
        for month in range(1, 11)
        for day in range(1, 21)
        for n, row in enumerate(events)
    ]


@pytest.mark.slow
def test_two_ingests_of_one_home_take_turns(land, lake_bytes, shop, events):
    folder = shop(many_days(events)[:60])
    land("files", folder)
    home = folder.parent / "home"
    expected = lake_bytes()
    shutil.rmtree(home)
    both = [start(home, folder, "--history") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert lake_bytes() == expected


def test_a_sweep_removes_what_a_kill_left_and_nothing_else(tmp_path):
    left = tmp_path / "files" / f".event_date=2026-01-01.{'a' * 32}.old"
    left.mkdir(parents=True)
    (left / "part.parquet").touch()
    own = tmp_path / "files" / ".gitkeep"
    own.touch()
    assert leftovers(tmp_path) == [left]
    sweep(tmp_path)
    assert (leftovers(tmp_path), own.exists()) == ([], True)
