import pytest
from typer.testing import CliRunner

from cli.build import app
from domain.errors import BadInputError


def build(*arguments):
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all", "--day", "2026-01-01"),
        ("--all", "--plan"),
        ("--plan", "--publish-only"),
    ],
)
def test_contradicting_wishes_are_refused(arguments):
    result = build(*arguments)
    assert isinstance(result.exception, BadInputError)
    assert "exclude each other" in str(result.exception)


@pytest.mark.parametrize("part", ["--plan", "--publish-only"])
def test_nothing_is_told_of_a_build_without_dbt(part, home):
    result = build(part, "--day", "2026-01-01", "--run", "r")
    assert isinstance(result.exception, BadInputError)
    assert not (home / "cache" / "builds").exists()


def test_a_run_has_a_name_that_can_be_a_files():
    assert "a run is named" in str(build("--day", "2026-01-01", "--run", "../r").exception)


def test_a_build_that_is_refused_had_begun(home):
    """Whoever watches it knows then that what an earlier try told is old."""
    result = build("--run", "r")
    assert "nothing to build" in str(result.exception)
    assert '"begun"' in (home / "cache" / "builds" / "r.jsonl").read_text()


def test_a_day_that_is_none_is_refused():
    assert "expected YYYY-MM-DD" in str(build("--day", "tomorrow").exception)


def test_an_empty_lake_is_a_clear_error():
    assert "run vitrine ingest first" in str(build("--all").exception)
    assert "nothing to build" in str(build().exception)


def test_publishing_without_a_plan_is_a_clear_error():
    assert "vitrine build --plan" in str(build("--publish-only", "--day", "2026-01-01").exception)


def test_a_plan_ends_with_its_receipt(home):
    result = build("--plan", "--day", "2026-01-01")
    assert result.exit_code == 0
    assert '"command": "build-plan"' in result.stdout.splitlines()[-1]
    assert (home / "cache" / "build_plan.json").exists()


def test_publishing_a_day_that_was_not_planned_is_refused():
    build("--plan", "--day", "2026-01-01")
    result = build("--publish-only", "--day", "2026-01-02")
    assert "not in the last plan" in str(result.exception)
