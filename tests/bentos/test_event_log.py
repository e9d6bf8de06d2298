import json
import multiprocessing
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
