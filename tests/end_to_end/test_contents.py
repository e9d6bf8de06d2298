"""Law L2 on a whole shop: content that changed between two hops is named, if rows add up or not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from domain.files import exclusive
from tests.end_to_end.ways import TODAY, Way

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]


@pytest.fixture
def home(way: Way, tmp_path: Path) -> Path:
    home = tmp_path / "shop"
    shutil.copytree(way.after, home)
    return home


@pytest.fixture
def verify(way: Way, home: Path) -> Callable[[], tuple[int, str]]:
    data = str(way.steps["day"].data)

    def verify() -> tuple[int, str]:
        ended = way.killer.run("verify", home=home, source="files", data=data)
        return ended.code, ended.stderr.strip().split("\n")[-1]

    return verify


def change_a_published_value(home: Path) -> None:
    path = home / "marts" / "user_features" / f"event_date={TODAY}" / "part.parquet"
    rows = pq.ParquetFile(path).read().to_pydict()
    rows["click_count_7d"][0] = (rows["click_count_7d"][0] or 0) + 1
    pq.write_table(pq.ParquetFile(path).read().from_pydict(rows, pq.read_schema(path)), path)


def change_a_value_in_the_warehouse(home: Path) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("update events set item_id = 'i9' where event_id = '30-5'")


def swap_two_rows_for_one_twice(home: Path) -> None:
    """As many rows as before, one lost and another one there twice."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("delete from sessions where event_date = $1 and user_id = 'u1'", [TODAY])
        warehouse.execute(
            "insert into sessions select * from sessions where event_date = $1 and user_id = 'u2'",
            [TODAY],
        )


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (change_a_published_value, f"warehouse user_features → marts {TODAY}: content changed"),
        (
            change_a_value_in_the_warehouse,
            "landed files.events → warehouse 2026-01-31: content changed",
        ),
        (swap_two_rows_for_one_twice, f"warehouse sessions → marts {TODAY}: content changed"),
    ],
)
def test_a_content_that_changed_on_its_way_is_named(verify, home, harm, said):
    harm(home)
    assert verify() == (1, f"vitrine: ReconciliationError: {said}")


def test_a_shop_that_nobody_harmed_is_whole_and_present_work_is_not_left_over(verify, home):
    aside = home / "marts" / "events" / f".part.parquet.{'0' * 32}.tmp"
    aside.touch()
    with exclusive(home / "warehouse.lock"):
        assert verify()[0] == 0
    code, said = verify()
    assert (code, said.split()[-5:]) == (1, ["was", "left", "by", "a", "killed", "run"][-5:])
    aside.unlink()
    assert verify()[0] == 0
