"""Laws L5 and L6 without a kill: twice, at once, late, backwards; always the same shop.

Whatever way the rows came, what is published is byte by byte what a rebuild from scratch of the
same lake publishes.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from domain.files import leftovers
from tests.end_to_end.ways import TODAY, Way, difference, opened

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]


def in_home(way: Way, *command: str, home: Path, data: Path) -> None:
    ended = way.killer.run(*command, home=home, source="files", data=str(data))
    assert ended.code == 0, f"{command}: {ended.stderr[-3_000:]}"


def marts_from_scratch(way: Way, home: Path, scratch: Path) -> Mapping[str, str]:
    """The marts of a home that holds the same lake and nothing else, built whole."""
    shutil.copytree(home / "lake", scratch / "lake")
    shutil.rmtree(scratch / "lake" / "dirty")
    in_home(way, "build", "--all", home=scratch, data=home)
    return way.killer.state(scratch)["marts"]


def test_late_replayed_and_corrected_rows_end_in_the_bytes_of_a_full_rebuild(way, tmp_path):
    after = way.steps["online"]
    found = after.expected["marts"]
    assert found == marts_from_scratch(way, after.before, tmp_path)
    # A late event of 2026-01-03, thirty days back: nothing before that day changes, and its user's
    # rows do on the day itself and on the days on which it leaves a window (7 and 30 days on).
    before = way.steps["day"].expected["marts"]
    changed = {name for name in {*found, *before} if found.get(name) != before.get(name)}
    days = {name.split("event_date=")[1][:10] for name in changed if name.startswith("user_feat")}
    assert min(days) == "2026-01-03"
    assert {"2026-01-03", "2026-01-10", "2026-02-02"} <= days
    # u4's only event of the old day is new; 2026-01-01 and the days between stay as they were.
    assert "2026-01-02" not in days
    assert "2026-01-20" not in days


def test_a_backfill_backwards_and_while_today_runs_ends_in_the_same_bytes(way, tmp_path):
    home, data = tmp_path / "home", tmp_path / "data"
    data.mkdir()
    opened(data)
    in_home(way, "ingest", "--day", "2026-02-01", home=home, data=data)
    backwards = ("2026-01-31", "2026-01-03", "2026-01-01")
    ended = way.killer.together(
        ("ingest", "--day", TODAY),
        *(("ingest", "--day", day) for day in backwards),
        ("build", "--day", "2026-02-01"),
        home=home,
        source="files",
        data=str(data),
    )
    assert [code for code, _ in ended] == [0] * 5, ended
    in_home(way, "build", "--day", TODAY, home=home, data=data)
    assert way.killer.state(home)["marts"] == marts_from_scratch(way, home, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["day", "build", "online"])
def test_two_at_once_have_one_effect(way, name):
    step = way.steps[name]
    way.back_to(step)
    ended = way.killer.together(
        step.command, step.command, home=way.home, source="files", data=str(step.data)
    )
    assert [code for code, _ in ended] == [0, 0], ended
    found = way.state()
    assert found == step.expected, difference(found, step.expected)
    assert leftovers(way.home) == []


@pytest.mark.parametrize("name", ["day", "online"])
def test_a_second_and_a_third_run_change_nothing(way, name):
    step = way.steps[name]
    way.back_to(step)
    for _ in range(3):
        assert way.run(step).code == 0
    found = way.state()
    assert found == step.expected, difference(found, step.expected)


def test_a_warehouse_that_is_gone_is_planned_again_whole(way):
    """One day alone, without the days before it, would publish features that know no history."""
    step = way.steps["plan"]
    way.back_to(step)
    (way.home / "warehouse.duckdb").unlink()
    ended = way.run(step)
    assert ended.code == 0, ended.stderr
    assert "are built again from the lake" in ended.stderr
    planned = json.loads((way.home / "cache" / "build_plan.json").read_text())
    landed = (way.home / "lake" / "files" / "events").glob("event_date=*")
    assert planned["is_full"]
    assert set(planned["days"]) >= {day.name.removeprefix("event_date=") for day in landed}


def test_a_warehouse_that_cannot_be_opened_is_refused_in_one_sentence(way):
    step = way.steps["plan"]
    way.back_to(step)
    (way.home / "warehouse.duckdb").write_bytes(b"no warehouse" * 1_000)
    ended = way.run(step)
    assert ended.code == 2
    assert "run vitrine build --all" in ended.stderr
