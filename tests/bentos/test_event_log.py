import json
import multiprocessing
import os
import resource
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bentos.recommender.event_log import EventLog, posted
from bentos.recommender.schemas import EventIn
from domain.schemas import LANDED_EVENTS

MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)


def events(count: int) -> list[EventIn]:
    return [EventIn(event_type="click", user_id=f"u{at}" * 20, item_id="i1") for at in range(count)]


def _write_many(folder: Path) -> None:
    log = EventLog(folder, worker="worker-1")
    for _ in range(200):
        log.write(posted(events(20), now=MIDNIGHT))


def test_lines_of_several_processes_in_one_file_never_mix(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = (tmp_path / "event_date=2026-03-03" / "worker-1.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2 * 200 * 20
    assert len({row["event_id"] for row in rows}) == len(rows)
    assert all(list(row) == LANDED_EVENTS.names for row in rows)


def test_each_event_goes_to_its_own_day(tmp_path):
    log = EventLog(tmp_path, worker="w")
    rows = posted(events(3), now=MIDNIGHT - timedelta(microseconds=1))
    assert log.write(rows) == 3
    counts = {
        folder.name: len((folder / "w.jsonl").read_text().splitlines())
        for folder in tmp_path.iterdir()
    }
    assert counts == {"event_date=2026-03-02": 1, "event_date=2026-03-03": 2}


def test_words_of_any_language_come_back_as_they_were_typed(tmp_path):
    words = "späti 灯籠 “x”\u2028y"
    event = EventIn(event_type="search", user_id="u", query_text=words)
    EventLog(tmp_path, worker="w").write(posted([event], now=MIDNIGHT))
    text = (tmp_path / "event_date=2026-03-03" / "w.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["query_text"] for line in text.split("\n") if line] == [words]


def test_without_a_folder_nothing_is_logged_and_the_caller_is_told():
    assert EventLog(None, worker="w").write(posted(events(3), now=MIDNIGHT)) == 0


def _write_with_little_room(folder: Path, told: int) -> None:
    log = EventLog(folder, worker="w")
    first = log.write(posted(events(2), now=MIDNIGHT))
    path = folder / "event_date=2026-03-03" / "w.jsonl"
    whole = path.read_bytes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, resource.RLIM_INFINITY))
    second = log.write(posted(events(5), now=MIDNIGHT))
    is_untouched = path.read_bytes() == whole
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    third = log.write(posted(events(3), now=MIDNIGHT))
    os.write(told, json.dumps([first, second, is_untouched, third]).encode())


def test_a_batch_that_finds_no_room_is_not_logged_at_all_and_the_next_one_is_whole(tmp_path):
    """A cut line would swallow the next one, and rows would be there that were told as lost."""
    heard, told = os.pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_write_with_little_room, args=(tmp_path, told)
    )
    child.start()
    child.join()
    assert json.loads(os.read(heard, 1_000)) == [2, 0, True, 3]
    lines = (tmp_path / "event_date=2026-03-03" / "w.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 2 + 3


def test_a_line_that_was_cut_by_a_crash_does_not_swallow_the_next_one(tmp_path):
    log = EventLog(tmp_path, worker="w")
    log.write(posted(events(1), now=MIDNIGHT))
    path = tmp_path / "event_date=2026-03-03" / "w.jsonl"
    with path.open("a") as file:
        file.write('{"event_id": "cut')
    assert log.write(posted(events(2), now=MIDNIGHT)) == 2
    whole, _, *new = path.read_text().splitlines()
    assert len([json.loads(line) for line in (whole, *new)]) == 1 + 2
