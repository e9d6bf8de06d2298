import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import vitrine
from domain.errors import BadInputError, DataQualityError
from domain.schemas import LANDED_EVENTS

pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_constants' is depr:DeprecationWarning")

FIRST = date(2026, 1, 1)


def land(home, day: date, rows: int) -> None:
    moment = datetime(day.year, day.month, day.day, 15, tzinfo=UTC)
    events = [
        {
            "event_id": f"{day}-{n}",
            "event_type": "click",
            "event_timestamp": moment,
            "user_id": f"u{n}",
        }
        for n in range(rows)
    ]
    folder = home / "lake" / "simulated" / "events" / f"event_date={day}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(events, schema=LANDED_EVENTS), folder / "part.parquet")


def check(*arguments: str):
    return CliRunner().invoke(vitrine, ["check", *arguments])


def test_a_good_day_ends_with_a_receipt_that_is_kept(home):
    for n in range(7):
        land(home, FIRST + timedelta(days=n), rows=5)
    result = check("landed", "--day", "2026-01-07")
    assert result.exit_code == 0
    receipt = json.loads(result.stdout.splitlines()[-1])
    assert receipt["rows_in"] == 5
    assert (home / "receipts" / "check" / "landed-2026-01-07.json").exists()


def test_a_history_is_judged_at_once(home):
    for n in range(7):
        land(home, FIRST + timedelta(days=n), rows=5)
    result = check("landed", "--all")
    assert json.loads(result.stdout.splitlines()[-1])["rows_in"] == 35


def test_a_bad_day_is_a_refusal(home):
    for n in range(7):
        land(home, FIRST + timedelta(days=n), rows=5 if n < 6 else 50)
    result = check("landed", "--day", "2026-01-07")
    assert isinstance(result.exception, DataQualityError)
    assert "row_count_surprise" in str(result.exception)


def test_a_day_and_all_days_exclude_each_other():
    assert isinstance(check("landed", "--all", "--day", "2026-01-07").exception, BadInputError)


def test_the_faults_are_listed_with_who_must_notice_them():
    listed = check("--list").stdout.splitlines()
    assert any(
        line.split()[:3] == ["null_user_ids", "quarantined", "missing_value"] for line in listed
    )
    described = {one["name"]: one for one in json.loads(check("--list", "--json").stdout)}
    assert described["missing_feed"]["answer"] == "stopped"
    assert len(described) == len(listed)


def test_a_fault_that_does_not_exist_and_no_table_at_all_are_wrong_usage():
    assert isinstance(check("--mutate", "gremlins").exception, BadInputError)
    assert isinstance(check("--mutate", "bot", "--ablate").exception, BadInputError)
    assert isinstance(check().exception, BadInputError)
    assert isinstance(check("landed", "--json").exception, BadInputError)


def test_the_command_explains_itself():
    help_text = check("--help").stdout
    assert "--day" in help_text
    assert "--all" in help_text
