from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.errors import BadInputError
from domain.schemas import RANKING_EXAMPLES
from models.data import read_mart, read_snapshot, read_training_data


@pytest.fixture
def marts(planted, tmp_path):
    for day in sorted(set(planted.examples.column("event_date").to_pylist())):
        rows = planted.examples.filter(pa.compute.field("event_date") == pa.scalar(day))
        _put(tmp_path, "retrieval_examples", day, rows)
    first = planted.cutoff - timedelta(days=40)
    _put(tmp_path, "ranking_examples", first, RANKING_EXAMPLES.empty_table())
    _put(tmp_path, "items", first, planted.items.slice(0, 5))
    _put(tmp_path, "items", planted.cutoff - timedelta(days=1), planted.items)
    _put(tmp_path, "items", planted.cutoff, planted.items.slice(0, 1))
    return tmp_path


def _put(marts, table, day, rows):
    folder = marts / table / f"event_date={day}"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part.parquet")


def test_nothing_of_the_cutoff_day_or_later_is_read(marts, planted):
    data = read_training_data(marts, until=planted.cutoff)
    days = data.interactions.column("event_date").to_pylist()
    assert max(days) < planted.cutoff
    assert len(days) == len(planted.before(planted.cutoff))
    assert data.first_day == min(days)


def test_items_are_the_last_snapshot_before_the_cutoff(marts, planted):
    assert len(read_snapshot(marts, "items", before=planted.cutoff)) == 40
    assert len(read_snapshot(marts, "items", before=planted.cutoff - timedelta(days=1))) == 5


def test_items_nobody_wanted_are_left_out(marts, planted):
    only = planted.before(planted.cutoff).column("item_id").to_pylist()
    data = read_training_data(marts, until=planted.cutoff)
    assert set(data.items.column("item_id").to_pylist()) == set(only)


def test_the_hash_knows_every_value_and_no_order_of_files(marts, planted):
    first = read_training_data(marts, until=planted.cutoff)
    day = planted.cutoff - timedelta(days=3)
    path = marts / "retrieval_examples" / f"event_date={day}" / "part.parquet"
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.take(list(range(len(rows)))[::-1]), path, compression="none")
    assert read_training_data(marts, until=planted.cutoff).hash() == first.hash()
    pq.write_table(rows.slice(1), path)
    assert read_training_data(marts, until=planted.cutoff).hash() != first.hash()
    earlier = planted.cutoff - timedelta(days=1)
    assert read_training_data(marts, until=earlier).hash() != first.hash()


def test_a_part_of_a_mart_begins_with_since(marts, planted):
    since = planted.cutoff - timedelta(days=2)
    rows = read_mart(marts, "retrieval_examples", before=planted.cutoff, since=since)
    assert set(rows.column("event_date").to_pylist()) <= {since, since + timedelta(days=1)}


def test_a_shop_without_marts_is_told_what_to_run(tmp_path):
    with pytest.raises(BadInputError, match="vitrine build"):
        read_training_data(tmp_path, until=date(2026, 1, 1))


def test_a_cutoff_before_everything_is_refused(marts):
    with pytest.raises(BadInputError, match="no retrieval_examples before 2020-01-01"):
        read_training_data(marts, until=date(2020, 1, 1))
