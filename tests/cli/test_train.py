from datetime import date

import pytest
from typer.testing import CliRunner

from cli.main import main, vitrine
from cli.train import default_until
from domain.clock import write_last_date
from domain.errors import BadInputError
from domain.files import write_json
from domain.settings import Settings


def refusal(monkeypatch, capsys, *words):
    """Run ``vitrine``; its exit code and what it says on standard error."""
    monkeypatch.setattr("sys.argv", ["vitrine", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_a_week_is_left_to_judge_on():
    settings = Settings()
    write_last_date(settings.lake, date(2011, 12, 9))
    # Not seen: 3, 4, 5, 6, 7, 8 and 9 December.
    assert default_until(settings) == date(2011, 12, 3)


def test_before_anything_landed_the_default_is_refused():
    with pytest.raises(BadInputError, match="vitrine ingest"):
        default_until(Settings())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--until", "yesterday"), "'yesterday' is not a day"),
        (("train", "--until", "2011-11-01", "--preset", "huge"), "no preset 'huge'"),
        (("train", "--until", "2011-11-01"), "run vitrine build first"),
        (("train", "gru4rec", "--until", "2011-11-01"), "there is no model 'gru4rec'"),
        (("train", "gru", "--until", "2011-11-01"), "run vitrine build first"),
        (("evaluate",), "run vitrine train first"),
        (("evaluate", "--run", "nobody"), "nobody is no finished run"),
    ],
    ids=[
        "no day",
        "no preset",
        "no marts",
        "no model",
        "no marts for a model",
        "no run",
        "no such run",
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(monkeypatch, capsys, words, said):
    code, error = refusal(monkeypatch, capsys, *words)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_a_window_that_ends_before_it_begins_is_refused(monkeypatch, capsys, home):
    write_json(home / "runs" / "r" / "run.json", {"run": "r", "until": "2011-11-01"})
    code, error = refusal(monkeypatch, capsys, "evaluate", "--until", "2011-11-01")
    assert code == 2
    assert "nothing to judge" in error


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_says_what_it_writes_and_every_option(command):
    said = CliRunner().invoke(vitrine, [command, "--help"]).output
    assert "runs/<run>" in said
    assert "--until" in said
    assert "--run" in said
