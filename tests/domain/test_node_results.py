"""What a build tells of dbt's nodes is read as it was written, also from a file in the making."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import BadInputError
from domain.node_results import NodeResult, NodeResults, Told, read_told, results_file

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENTS = NodeResult("model.vitrine.events", "success", 0.25, "OK")
TEST = NodeResult("test.vitrine.grain", "fail", 0.01, "Got 1 result, „zwei“ expected")


def test_what_was_told_is_read_back(tmp_path: Path) -> None:
    path = results_file(tmp_path / "builds", "manual__2026-03-01T12:00:00+00:00")
    tell = NodeResults(path, now=NOW)
    tell(EVENTS)
    tell(TEST)

    told = read_told(path)

    assert told == Told(NOW, {EVENTS.unique_id: EVENTS, TEST.unique_id: TEST})


def test_nothing_is_told_before_a_build_begins(tmp_path: Path) -> None:
    assert read_told(tmp_path / "none.jsonl") == Told()


def test_only_the_last_try_counts(tmp_path: Path) -> None:
    path, later = tmp_path / "run.jsonl", NOW + timedelta(minutes=1)
    NodeResults(path, now=NOW)(EVENTS)
    again = replace(TEST, status="pass")
    NodeResults(path, now=later)(again)

    assert read_told(path) == Told(later, {TEST.unique_id: again})


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_half_a_line_is_left_for_later_and_spoils_no_later_one(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.jsonl"
    tell = NodeResults(path, now=NOW)
    tell(EVENTS)
    tell(TEST)
    path.write_bytes(path.read_bytes()[:-cut])

    assert read_told(path).results == {EVENTS.unique_id: EVENTS}

    NodeResults(path, now=NOW)(TEST)
    assert read_told(path).results == {TEST.unique_id: TEST}


def test_each_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, other = results_file(tmp_path, "one"), results_file(tmp_path, "other")
    NodeResults(one, now=NOW)(EVENTS)
    NodeResults(other, now=NOW)(TEST)

    assert set(read_told(one).results) == {EVENTS.unique_id}
    assert set(read_told(other).results) == {TEST.unique_id}


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="a run is named"):
        results_file(tmp_path, name)


def test_what_nobody_touched_for_a_month_is_forgotten(tmp_path: Path) -> None:
    old, young = tmp_path / "old.jsonl", tmp_path / "young.jsonl"
    for path, age in ((old, timedelta(days=31)), (young, timedelta(days=29))):
        NodeResults(path, now=NOW)
        os.utime(path, times=((NOW - age).timestamp(),) * 2)

    NodeResults(tmp_path / "new.jsonl", now=NOW)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.jsonl", "young.jsonl"]
