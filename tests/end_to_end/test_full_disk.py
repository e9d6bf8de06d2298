"""A full disk at every writer: one clear sentence, nothing cut taken for whole, healed by a rerun.

Three ways to fill it: a tmpfs that is really full (where the tests may mount one), a limit on the
size of a file (RLIMIT_FSIZE), and from a chosen write on an ENOSPC from the kernel, which reaches
each writer in turn.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.ways import Step, Way, difference
from tests.killing import IS_SUPPORTED, Ended

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7_200),
    pytest.mark.skipif(not IS_SUPPORTED, reason="needs ptrace and seccomp of Linux on x86_64"),
]

WRITERS = {
    "spool": ("day", "/spool/fit/"),
    "landing": ("day", "/staged/landed/event_date=2026-01-03"),
    "quarantine": ("day", "/staged/quarantined/"),
    "ledger": ("day", "/lake/ledger/"),
    "mark": ("day", "/lake/dirty/"),
    "progress": ("day", "/logs/progress"),
    "receipt": ("day", "/receipts/"),
    "checked": ("check", "/quality/validations/"),
    "docs": ("check", "/quality/data_docs/"),
    "plan": ("plan", "/cache/.build_plan"),
    "registry": ("first online", "/feast/.registry.db"),
    "online store": ("first online", "/feast/online.db"),
    "stamp": ("online", "/feast/.stamp"),
    "warehouse": ("build", "/warehouse.duckdb"),
    "mart": ("publish", "/marts/"),
}


def harm_of_no_room(way: Way, step: Step, ended: Ended) -> str:
    """What is wrong now that the disk was full, and after the step was run again with room."""
    if ended.code == 0:
        return "ended well on a full disk"
    said = [line for line in ended.stderr.splitlines() if line.startswith("vitrine: ")]
    if len(said) != 1 or not said[0].startswith("vitrine: the disk is full"):
        return f"said {said or ended.stderr[-1_500:]}"
    if cut := torn(way.home):
        return f"left {cut} cut"
    again = way.run(step)
    if again.code != 0:
        return f"with room again: {again.code} {again.stderr[-1_500:]}"
    found = way.state()
    return "" if found == step.expected else str(difference(found, step.expected))


def torn(home: Path) -> list[str]:
    """Files that carry a whole file's name and are none."""
    return [
        str(path.relative_to(home))
        for folder in ("lake", "marts", "receipts", "feast")
        for path in (home / folder).rglob("*")
        if not path.name.startswith(".") and not _is_whole(path)
    ]


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".parquet":
            pq.ParquetFile(path).read()
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def write_number(step: Step, place: str) -> int:
    """The step's first write below ``place``."""
    return next(
        number
        for number, commit in enumerate(step.commits)
        if commit.split()[0] in {"write", "pwrite64", "writev"} and place in commit
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_becomes_full_at_a_writer_is_said_and_heals(way, writer):
    name, place = WRITERS[writer]
    step = way.steps[name]
    number = write_number(step, place)
    way.back_to(step)
    ended = way.run(step, full_at=number)
    assert harm_of_no_room(way, step, ended) == ""


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", ["day", "plan", "check", "first online", "online", "publish", "build"]
)
def test_a_disk_that_becomes_full_at_any_write(way, name):
    step = way.steps[name]
    harms = {}
    for number in range(0, len(step.commits), 1 if name != "build" else 20):
        way.back_to(step)
        ended = way.run(step, full_at=number)
        where = ended.commits[number] if number < len(ended.commits) else "the end"
        harms[where] = harm_of_no_room(way, step, ended)
    assert {where: harm for where, harm in harms.items() if harm} == {}


@pytest.mark.parametrize("limit", [100, 3_000])
@pytest.mark.parametrize("name", ["day", "online"])
def test_a_limit_on_a_files_size_is_said_and_heals(way, name, limit):
    step = way.steps[name]
    way.back_to(step)
    ended = way.run(step, file_limit=limit)
    assert harm_of_no_room(way, step, ended) == ""


@pytest.fixture
def small_disk(way: Way) -> Iterator[Path]:
    """The way's home on a tmpfs of its own, as large as it is told (``grow``)."""
    shutil.rmtree(way.home)
    way.home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(way.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield way.home
    finally:
        subprocess.run(["umount", str(way.home)], check=True)


def resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.mark.parametrize("name", ["day", "online"])
@pytest.mark.parametrize("room", [0, 3])
def test_a_disk_that_is_really_full_is_said_and_heals(way, small_disk, name, room):
    """``room``: pages of 4 KiB that are left when the step starts."""
    step = way.steps[name]
    shutil.copytree(step.before, small_disk, dirs_exist_ok=True)
    used = shutil.disk_usage(small_disk).used
    resize(small_disk, used + room * 4_096)
    ended = way.run(step)
    assert ended.code != 0, "there was room enough"
    resize(small_disk, 64 << 20)
    assert harm_of_no_room(way, step, ended) == ""
