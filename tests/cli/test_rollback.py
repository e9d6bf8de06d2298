import json
from datetime import UTC, datetime

from typer.testing import CliRunner

from cli.main import vitrine
from domain.errors import BadInputError
from domain.seal import seal
from models.artifacts import file_hash
from release.ledger import Action, Entry, append, live

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def rollback(*arguments: str):
    return CliRunner().invoke(vitrine, ["rollback", *arguments])


def test_a_reason_must_be_given():
    assert rollback().exit_code == 2


def test_before_the_first_release_it_is_refused():
    result = rollback("--why", "it is bad")
    assert isinstance(result.exception, BadInputError)
    assert "nothing was released yet" in str(result.exception)


def test_the_receipt_says_which_release_serves_instead_of_which(home):
    releases = home / "releases"
    for release_id, champion in (("r1", ""), ("r2", "r1")):
        (releases / release_id).mkdir(parents=True)
        bundle = releases / f"{release_id}.bento"
        bundle.write_text(release_id)
        entry = Entry(
            action=Action.RELEASED,
            release_id=release_id,
            run=release_id,
            why="better",
            at="",
            seal=seal(releases / release_id),
            bundle_sha256=file_hash(bundle),
            champion=champion,
        )
        append(releases, entry, now=NOW)
    result = rollback("--why", "it is bad")
    assert result.exit_code == 0
    details = json.loads(result.stdout)["details"]
    assert details == {"release_id": "r1", "instead_of": "r2", "why": "it is bad"}
    assert live(releases).release_id == "r1"
