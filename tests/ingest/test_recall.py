"""A day that reads only what changed ends as one that reads everything."""

import csv
import os
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadInputError
from domain.settings import Settings
from ingest import ledger, readers
from ingest.run import ingest

FIRST = date(2026, 1, 1)
NAMES = ("event_id", "event_type", "event_timestamp", "user_id", "item_id", "quantity")
ROW = st.fixed_dictionaries(
    {
        # Few ids and few days: the same id on two days, in two files, is what must be found.
        "event_id": st.sampled_from(["a", "b", "c", "d", "e", "f", ""]),
        "event_type": st.just("click"),
        "day": st.sampled_from([0, 1, 2, 3, 4, 5, None]),
        "user_id": st.sampled_from(["u1", "u2", ""]),
        "item_id": st.just("i1"),
        "quantity": st.sampled_from(["1", "2", "-1"]),
    }
)
FILES = st.dictionaries(st.sampled_from("pqrs"), st.lists(ROW, max_size=4), max_size=4)
STEPS = st.lists(st.tuples(FILES, st.sets(st.sampled_from("pqrs")), st.integers(0, 5)), max_size=3)


def write(shop: Path, name: str, rows) -> None:
    with (shop / f"events_{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        for row in rows:
            day = row["day"]
            moment = "soon" if day is None else f"{FIRST + timedelta(days=day)}T10:00:00Z"
            told = {key: value for key, value in row.items() if key != "day"}
            writer.writerow({**told, "event_timestamp": moment})


def change(shop: Path, written, gone) -> None:
    for name, rows in written.items():
        write(shop, name, rows)
    for name in gone:
        (shop / f"events_{name}.csv").unlink(missing_ok=True)


def run(home: Path, shop: Path, now: datetime, **asked) -> str:
    try:
        ingest(Settings(home=home, source="files", data=shop), now=now, **asked)
    except BadInputError as error:
        return str(error).replace(str(home), "home")
    return ""


def lake(home: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(home)): b"" if file.parent.name == "dirty" else file.read_bytes()
        for file in sorted((home / "lake").rglob("*"))
        if file.is_file()
    }


@settings(max_examples=15, deadline=None)
@given(FILES, STEPS)
def test_a_day_ends_as_if_everything_had_been_read(first, steps):
    """New, changed and rotated files, late and corrected rows, ids that move between days."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shop, recalls, forgets = root / "shop", root / "recalls", root / "forgets"
        shop.mkdir()
        (shop / "items.csv").write_text("item_id,title\ni1,Lamp\n")
        write(shop, "0", [])
        change(shop, first, ())
        # Rows of the last days are in the future at first, and then no longer are.
        now = datetime(2026, 1, 4, 12, tzinfo=UTC)
        assert run(recalls, shop, now) == run(forgets, shop, now)
        for written, gone, day in steps:
            change(shop, written, gone)
            now += timedelta(days=1)
            asked = {"now": now, "day": FIRST + timedelta(days=day)}
            shutil.rmtree(forgets / "cache", ignore_errors=True)
            assert run(recalls, shop, **asked) == run(forgets, shop, **asked)
            assert lake(recalls) == lake(forgets)


@pytest.fixture
def files_read(monkeypatch):
    """The names of the files that were read since the list was cleared."""
    read: list[str] = []
    batches = readers.batches

    def noted(path):
        read.append(path.name)
        return batches(path)

    monkeypatch.setattr(readers, "batches", noted)
    return read


def rows(*days, ids=""):
    plain = {"event_type": "click", "user_id": "u1", "item_id": "i1", "quantity": "1"}
    return [dict(plain, day=day, event_id=f"{ids}{n}") for n, day in enumerate(days)]


@pytest.fixture
def history(tmp_path):
    """Twenty days, a file each, landed."""
    (tmp_path / "items.csv").write_text("item_id,title\ni1,Lamp\n")
    for day in range(20):
        write(tmp_path, f"{day:02}", rows(day, day, ids=f"{day}-"))
    home = tmp_path / "home"
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def land(day):
        assert run(home, tmp_path, now, day=FIRST + timedelta(days=day)) == ""

    assert run(home, tmp_path, now) == ""
    return land


def test_a_day_reads_its_own_file_whatever_the_history(history, tmp_path, files_read):
    write(tmp_path, "20", rows(20, 20, ids="20-"))
    history(20)
    assert files_read == ["events_20.csv", "items.csv"]
    files_read.clear()
    history(7)
    assert files_read == ["events_07.csv", "items.csv"]


def test_a_late_row_makes_its_days_files_read(history, tmp_path, files_read):
    write(tmp_path, "20", rows(20, 3, ids="20-"))
    history(20)
    assert sorted(files_read) == ["events_03.csv", "events_20.csv", "items.csv"]


def test_a_row_without_a_day_makes_no_other_file_be_read(history, tmp_path, files_read):
    for number in (20, 21):
        files_read.clear()
        write(tmp_path, f"{number}", rows(number, None, ids=f"{number}-"))
        history(number)
        assert files_read == [f"events_{number}.csv", "items.csv"]
    lake = tmp_path / "home/lake"
    assert ledger.entries(lake, "files", "events")[None].rows_quarantined == 2


def test_an_id_of_another_day_makes_that_days_files_read(history, tmp_path, files_read):
    write(tmp_path, "20", [*rows(20, ids="5-"), *rows(20, ids="20-")])
    history(20)
    assert sorted(files_read) == ["events_05.csv", "events_20.csv", "items.csv"]


def test_a_file_that_is_rewritten_in_the_same_size_and_dated_back_is_read(
    history, tmp_path, files_read
):
    file = tmp_path / "events_04.csv"
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"u1", b"u2"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    history(19)
    assert sorted(files_read) == ["events_04.csv", "events_19.csv", "items.csv"]


@pytest.mark.parametrize("part", ["files.json", "*.parquet"])
def test_without_what_was_kept_everything_is_read(history, tmp_path, files_read, part):
    next((tmp_path / "home/cache/recall/files").glob(part)).unlink()
    history(19)
    assert len(files_read) == 20 + 1


def test_another_version_of_the_code_reads_everything(history, files_read, monkeypatch):
    monkeypatch.setattr("ingest.recall._code", lambda: "another")
    history(19)
    assert len(files_read) == 20 + 1


def test_a_history_reads_everything(history, tmp_path, files_read):
    assert run(tmp_path / "home", tmp_path, datetime(2026, 6, 1, tzinfo=UTC)) == ""
    assert len(files_read) == 20 + 1
