import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.ingest import app as ingest
from cli.status import app
from domain.files import write_json
from domain.stamp import StoreStamp, write_stamp

TINY = Path(__file__).parents[1] / "fixtures" / "online_retail_tiny.csv"


def status(*arguments):
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False).stdout


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("VITRINE_SOURCE", "online_retail")
    monkeypatch.setenv("VITRINE_DATA", str(TINY))
    CliRunner().invoke(ingest, ["--history"], catch_exceptions=False)


def test_a_young_shop_has_a_status_too():
    seen = json.loads(status("--json"))
    assert (seen["source"], seen["last_date"], seen["release"]) == ("simulated", None, None)
    assert "none yet" in status()


@pytest.mark.usefixtures("shop")
def test_what_was_landed_is_counted_and_the_shops_now_is_the_day_after(home):
    seen = json.loads(status("--json"))
    table = "online_retail.transactions"
    assert seen["rows"]["in"][table] == 30
    assert (seen["rows"]["landed"][table], seen["rows"]["duplicate"][table]) == (29, 1)
    assert (seen["last_date"], seen["now"][:10]) == ("2011-02-05", "2011-02-06")
    assert seen["dirty_days"][0] == "2011-02-01"
    assert seen["commands"]["ingest"]["key"] == "history"


@pytest.mark.usefixtures("shop")
def test_a_person_reads_the_same_facts():
    text = status()
    assert "2011-02-05" in text and "online_retail.transactions" in text


def test_the_online_store_and_the_last_run_are_named(home):
    write_stamp(home / "feast/stamp.json", StoreStamp({}, date(2011, 2, 5), version=3))
    write_json(home / "runs/first/run.json", {})
    seen = json.loads(status("--json"))
    assert (seen["event_date"], seen["store_version"], seen["last_run"]) == (
        "2011-02-05",
        3,
        "first",
    )


def test_the_live_release_is_named_with_its_metrics(home):
    from release.ledger import Action, Entry, append

    moment = datetime(2011, 2, 6, tzinfo=UTC)
    append(home / "releases", Entry(Action.RELEASED, "r1", "first", "better", at=""), now=moment)
    append(home / "releases", Entry(Action.REFUSED, "r2", "second", "worse", at=""), now=moment)
    write_json(home / "releases/r1/manifest.json", {"metrics": {"any": {"recall_at_10": 0.3}}})
    release = json.loads(status("--json"))["release"]
    assert (release["release_id"], release["action"]) == ("r1", "released")
    assert release["metrics"] == {"any": {"recall_at_10": 0.3}}
    assert "r1" in status()
