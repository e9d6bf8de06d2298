"""Law L6: killed before any commit of any step, then run again, a shop is as if nothing happened.

A small shop goes its way: history, build, online, then a day with rows that came an hour, a day
and thirty days late, replayed and corrected ones, and the same again. Every step is killed
(SIGKILL) before commits of it, rerun, and the home compared with the one that was never killed:
lake and marts byte by byte, the warehouse's tables by content, the online store value by value.

``pytest -m exhaustive`` goes through every commit; the ordinary suite takes a few of each step.
"""

import re
import sys

import pytest

from domain.files import leftovers
from tests.end_to_end.ways import COMMANDS, Step, Way, difference
from tests.killing import IS_SUPPORTED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7_200),
    pytest.mark.skipif(not IS_SUPPORTED, reason="needs ptrace and seccomp of Linux on x86_64"),
]


def harm_of_dying(way: Way, step: Step, number: int) -> str:
    """What is wrong after the step was killed before its commit ``number`` and run again."""
    way.back_to(step)
    died = way.run(step, kill_at=number, writes=True)
    where = f"{' '.join(step.command)}, killed before {(died.commits or ['nothing'])[-1]}"
    if died.code == 0:  # The last few commits vary: a log that is cut or not.
        return ""
    if died.code != -9:
        return f"{where}: ended with {died.code}: {died.stderr[-2_000:]}"
    again = way.run(step)
    if again.code != 0:
        return f"{where}: the rerun ended with {again.code}: {again.stderr[-2_000:]}"
    found = way.state()
    if found != step.expected:
        return f"{where}: {difference(found, step.expected)}"
    left = [str(path.relative_to(way.home)) for path in leftovers(way.home)]
    return f"{where}: left {left}" if left else ""


def some(step: Step, *words: str) -> list[int]:
    """The middle one of the commits whose description begins like that, for each of the words."""
    found = [
        [number for number, commit in enumerate(step.commits) if re.match(word, commit)]
        for word in words
    ]
    return [numbers[len(numbers) // 2] for numbers in found]


SAMPLE = {
    "history": (
        "write.*/spool/fit/",
        "rename .*/landed/event_date=2026-02-01",
        "rename /lake/ledger",
    ),
    "day": (
        "rename .*/landed/event_date=2026-01-03",
        "rename .*/quarantined/",
        "rename /lake/ledger/files/.events",
    ),
    "build": ("fdatasync /warehouse.duckdb",),
    "publish": ("rename /marts/user_features/",),
    "online": ("rename /feast/.stamp.json",),
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_step_that_was_killed_and_run_again_ends_as_if_it_was_not(way, name):
    step = way.steps[name]
    assert [harm_of_dying(way, step, number) for number in some(step, *SAMPLE[name])] == [
        "" for _ in SAMPLE[name]
    ]


SHARES = 8


@pytest.mark.exhaustive
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_every_commit(way, name, share):
    step = way.steps[name]
    writes = ("write", "pwrite64", "writev")
    numbers = [at for at, commit in enumerate(step.commits) if not commit.startswith(writes)]
    harms = []
    for number in numbers[share::SHARES]:
        if harm := harm_of_dying(way, step, number):
            harms.append(harm)
            sys.stderr.write(f"{harm}\n")  # With -s: at once, not in half an hour.
    assert harms == []
