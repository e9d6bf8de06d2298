import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import TamperedReleaseError
from release.ledger import LEDGER_NAME, Action, Entry, append, history, live, released

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def entry(action: Action, release_id: str, why: str = "because") -> Entry:
    return Entry(action=action, release_id=release_id, run=release_id, why=why, at="")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    append(tmp_path, entry(Action.RELEASED, "r1"), now=NOW)
    append(tmp_path, entry(Action.REFUSED, "r2"), now=NOW)
    append(tmp_path, entry(Action.RELEASED, "r3"), now=NOW)
    return tmp_path


def test_before_the_first_release_nothing_is_live(tmp_path: Path):
    assert live(tmp_path) is None
    assert history(tmp_path) == []


def test_the_last_release_is_live_and_a_refused_one_never_is(releases: Path):
    assert live(releases).release_id == "r3"
    append(releases, entry(Action.REFUSED, "r4"), now=NOW)
    assert live(releases).release_id == "r3"
    append(releases, entry(Action.ROLLED_BACK, "r1"), now=NOW)
    assert live(releases).release_id == "r1"


def test_who_decided_and_when_stands_in_every_entry(releases: Path):
    assert all(each.who and each.at == "2026-03-02T00:00:00+00:00" for each in history(releases))


def test_the_same_decision_twice_is_one_entry(releases: Path):
    before = (releases / LEDGER_NAME).read_bytes()
    append(releases, entry(Action.RELEASED, "r3"), now=datetime(2027, 1, 1, tzinfo=UTC))
    assert (releases / LEDGER_NAME).read_bytes() == before


def test_what_was_released_once_is_remembered_after_a_rollback(releases: Path):
    append(releases, entry(Action.ROLLED_BACK, "r1"), now=NOW)
    assert released(releases, "r3").release_id == "r3"
    assert released(releases, "r2") is None


def test_entries_are_only_ever_added(releases: Path):
    before = (releases / LEDGER_NAME).read_text()
    append(releases, entry(Action.ROLLED_BACK, "r1"), now=NOW)
    assert (releases / LEDGER_NAME).read_text().startswith(before)


def test_a_changed_a_dropped_and_a_swapped_line_break_the_chain(releases: Path):
    path = releases / LEDGER_NAME
    lines = path.read_text().splitlines()
    changed = json.dumps({**json.loads(lines[1]), "action": "released"}, sort_keys=True)
    for broken in ([lines[0], changed, lines[2]], [lines[0], lines[2]], lines[1:], lines[::-1]):
        path.write_text("\n".join(broken) + "\n")
        with pytest.raises(TamperedReleaseError, match="chain of hashes"):
            live(releases)


def test_half_a_line_is_no_entry(releases: Path):
    path = releases / LEDGER_NAME
    path.write_text(path.read_text()[:-20])
    with pytest.raises(TamperedReleaseError, match="no ledger entry"):
        history(releases)
