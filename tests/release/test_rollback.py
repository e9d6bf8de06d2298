from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import BadInputError, TamperedReleaseError
from domain.seal import seal
from models.artifacts import file_hash
from release.ledger import Action, Entry, append, history, live
from release.rollback import roll_back

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def publish(releases: Path, release_id: str, champion: str) -> None:
    folder = releases / release_id
    folder.mkdir(parents=True)
    (folder / "weights").write_text(release_id)
    bundle = releases / f"{release_id}.bento"
    bundle.write_text(release_id)
    entry = Entry(
        action=Action.RELEASED,
        release_id=release_id,
        run=release_id,
        why="it was better",
        at="",
        seal=seal(folder),
        bundle_sha256=file_hash(bundle),
        champion=champion,
    )
    append(releases, entry, now=NOW)


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for release_id, champion in (("r1", ""), ("r2", "r1"), ("r3", "r2")):
        publish(tmp_path, release_id, champion)
    return tmp_path


def test_the_release_before_serves_again_and_the_ledger_says_why(releases: Path):
    roll_back(releases, to=None, why="r3 shows nothing but socks", now=NOW)
    entry = live(releases)
    assert (entry.release_id, entry.action) == ("r2", Action.ROLLED_BACK)
    assert (entry.champion, entry.why) == ("r3", "r3 shows nothing but socks")


def test_rolling_back_twice_goes_back_two_steps(releases: Path):
    roll_back(releases, to=None, why="bad", now=NOW)
    roll_back(releases, to=None, why="also bad", now=NOW)
    assert live(releases).release_id == "r1"
    with pytest.raises(BadInputError, match="r1 is the first release"):
        roll_back(releases, to=None, why="bad", now=NOW)


def test_a_named_release_serves_again_forwards_too(releases: Path):
    roll_back(releases, to="r1", why="bad", now=NOW)
    roll_back(releases, to="r3", why="it was not r3", now=NOW)
    assert live(releases).release_id == "r3"
    assert len(history(releases)) == 5


@pytest.mark.parametrize(
    ("to", "why", "message"),
    [
        ("r9", "bad", "never released"),
        ("r3", "bad", "live already"),
        ("r1", "  ", "needs a reason"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(releases: Path, to, why, message):
    with pytest.raises(BadInputError, match=message):
        roll_back(releases, to=to, why=why, now=NOW)
    assert live(releases).release_id == "r3"


def test_before_the_first_release_there_is_nothing_to_go_back_to(tmp_path: Path):
    with pytest.raises(BadInputError, match="nothing was released"):
        roll_back(tmp_path, to=None, why="bad", now=NOW)


def test_a_release_whose_files_or_bundle_changed_does_not_come_back(releases: Path):
    (releases / "r2.bento").write_text("other")
    with pytest.raises(BadInputError, match=r"r2\.bento is missing or not the bundle"):
        roll_back(releases, to="r2", why="bad", now=NOW)
    (releases / "r1" / "weights").write_text("other")
    with pytest.raises(TamperedReleaseError, match="changed: weights"):
        roll_back(releases, to="r1", why="bad", now=NOW)
    assert live(releases).release_id == "r3"
