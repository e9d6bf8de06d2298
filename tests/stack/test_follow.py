"""What a failed task wrote is told without Airflow's frame around it."""

from stack.follow import command_lines

LOG = [
    "::group::Pre Execute",
    "Filling up the DagBag from /dags/ingest_events.py",
    "::endgroup::",
    "Running command: ['/usr/bin/bash', '-c', 'vitrine check landed --day 2026-03-01']",
    "Output:",
    "vitrine: DataQualityError: simulated.events: 3 rows, expected at least 500",
    "Command exited with return code 1",
    "Task failed with exception",
    "::group::Post Execute",
]


def test_the_commands_own_words_are_told() -> None:
    told = command_lines(LOG)

    assert told == ["vitrine: DataQualityError: simulated.events: 3 rows, expected at least 500"]


def test_a_command_that_was_killed_before_it_wrote_is_told_as_such() -> None:
    assert command_lines(["::group::Pre Execute"]) == ["nothing"]


def test_without_a_frame_everything_is_told() -> None:
    assert command_lines(["Dag import failed"]) == ["Dag import failed"]
