import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import vitrine
from domain.clock import midnight
from domain.errors import BadInputError, StaleFeaturesError
from domain.schemas import MARTS

DAY = date(2011, 12, 1)


@pytest.fixture
def marts(home) -> None:
    for table, entity in (
        ("user_features", "user_id"),
        ("user_history", "user_id"),
        ("item_features", "item_id"),
    ):
        row = {entity: "x1", "event_date": DAY, "event_timestamp": midnight(DAY)}
        folder = home / "marts" / table / f"event_date={DAY}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row], schema=MARTS[table]), folder / "part.parquet")


def materialize(*arguments: str):
    return CliRunner().invoke(vitrine, ["materialize", *arguments])


def test_the_last_line_is_a_receipt_and_nothing_else_is_printed(marts, home):
    result = materialize("--day", "2011-12-01")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows_out"] == 3
    assert (home / "feast" / "stamp.json").exists()
    assert (home / "receipts" / "materialize" / "2011-12-01.json").exists()


def test_without_marts_it_says_what_to_run_first():
    result = materialize()
    assert isinstance(result.exception, StaleFeaturesError)
    assert "vitrine build" in str(result.exception)


def test_a_day_that_is_none_is_refused():
    assert isinstance(materialize("--day", "yesterday").exception, BadInputError)
