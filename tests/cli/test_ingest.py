import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.ingest import app
from domain.errors import BadInputError

TINY = Path(__file__).parents[1] / "fixtures" / "online_retail_tiny.csv"
SHOP = ["--source", "online_retail", "--data", str(TINY)]


def run(*arguments: str):
    return CliRunner().invoke(app, [*SHOP, *arguments], catch_exceptions=False)


def test_the_last_line_is_a_receipt_that_adds_up_and_is_kept(home):
    receipt = json.loads(run("--history").stdout.splitlines()[-1])
    parts = receipt["rows_out"] + receipt["rows_duplicate"] + receipt["rows_quarantined"]
    assert (receipt["rows_in"], parts) == (30, 30)
    assert json.loads((home / "receipts/ingest/history.json").read_text()) == receipt


def test_progress_can_be_followed_in_the_log(home):
    run("--history")
    lines = [json.loads(line) for line in (home / "logs/progress.jsonl").read_text().splitlines()]
    assert lines[-1]["message"] == "storefront.events: 4 of 4 days, 0 rows landed"
    assert (lines[-1]["done"], lines[-1]["total"]) == (4, 4)


def test_one_day_lands_alone(home):
    assert json.loads(run("--day", "2011-02-03").stdout)["rows_in"] == 7
    folders = sorted(p.name for p in (home / "lake/online_retail/transactions").iterdir())
    assert folders == ["event_date=2011-02-03"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--history", "--day", "2011-02-03"], ["--until", "2011-02-03"], ["--day", "yesterday"]],
)
def test_days_that_make_no_sense_are_refused(arguments):
    with pytest.raises(BadInputError):
        run(*arguments)


@pytest.mark.parametrize("source", ["shopify", "storefront"])
def test_an_unknown_source_is_refused_with_the_known_ones(source):
    with pytest.raises(BadInputError, match="simulated, online_retail, files"):
        run("--source", source, "--history")


def test_the_environment_names_the_shop_as_well(monkeypatch):
    monkeypatch.setenv("VITRINE_SOURCE", "online_retail")
    monkeypatch.setenv("VITRINE_DATA", str(TINY))
    result = CliRunner().invoke(app, ["--history"], catch_exceptions=False)
    assert json.loads(result.stdout)["rows_in"] == 30


def test_help_explains_the_command():
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert "quarantine" in text and "--history" in text
