import json
from pathlib import Path

import pytest

from domain.errors import ReconciliationError
from domain.receipts import Receipt, keep


def test_a_receipt_that_loses_a_row_cannot_be_written():
    with pytest.raises(ReconciliationError, match=r"10 rows in, but 7 out \+ 1 duplicate"):
        Receipt(
            command="ingest",
            key="2026-01-01",
            rows_in=10,
            rows_out=7,
            rows_duplicate=1,
            rows_quarantined=1,
        )


def test_a_rerun_replaces_its_own_receipt(tmp_path: Path):
    for rows in (1, 2):
        receipt = Receipt(command="ingest", key="2026-01-01", rows_in=rows, rows_out=rows)
        keep(receipt, receipts=tmp_path)
    kept = tmp_path / "ingest" / "2026-01-01.json"
    assert json.loads(kept.read_text())["rows_out"] == 2
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_the_last_line_is_one_line_of_json():
    line = Receipt(command="train", key="r1", details={"until": "2026-01-01"}).to_json()
    assert "\n" not in line
    assert json.loads(line)["details"] == {"until": "2026-01-01"}
