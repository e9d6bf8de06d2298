import pytest
from typer.testing import CliRunner

from cli.main import vitrine
from domain.errors import BadInputError


def call(*arguments: str):
    return CliRunner().invoke(vitrine, list(arguments))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_without_a_run_it_says_what_to_do_first():
    result = call("release")
    assert isinstance(result.exception, BadInputError)
    assert "run vitrine train first" in str(result.exception)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_run_that_is_not_there_is_named():
    result = call("release", "--run", "no-such-run")
    assert isinstance(result.exception, BadInputError)
    assert "no-such-run" in str(result.exception)


def test_the_help_says_what_a_refusal_does():
    assert "exits 1" in call("release", "--help").output
