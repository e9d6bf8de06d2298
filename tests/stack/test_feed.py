"""The progress log is followed line by line, whoever writes it."""

from pathlib import Path

from domain.progress import Progress
from stack.feed import Feed


def test_only_new_steps_are_told_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "progress.jsonl"
    Progress(log, command="ingest")("ingest", "from the last run")
    feed = Feed(log)

    Progress(log, command="train")("sequence", "loss 3.2", done=1, total=9)

    (step,) = feed.new_steps()
    assert (step.command, step.stage, step.message) == ("train", "sequence", "loss 3.2")
    assert (step.done, step.total) == (1, 9)
    assert list(feed.new_steps()) == []


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    feed = Feed(log)
    assert list(feed.new_steps()) == []
    line = '{"time": 1, "command": "a", "stage": "b", "message": "c", "done": null, "total": null}'

    log.write_text(line[:30])
    assert list(feed.new_steps()) == []
    log.write_text(line + "\n")

    assert [step.message for step in feed.new_steps()] == ["c"]


def test_a_line_that_is_not_ours_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    feed = Feed(log)
    log.write_text("oops\n[1]\n")

    assert list(feed.new_steps()) == []


def test_an_emptied_log_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    log.write_text("x" * 500 + "\n")
    feed = Feed(log)
    log.unlink()

    Progress(log, command="train")("als", "fitted")

    assert [step.message for step in feed.new_steps()] == ["fitted"]
