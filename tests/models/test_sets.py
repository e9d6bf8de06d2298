from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.errors import BadInputError
from domain.schemas import RETRIEVAL_EXAMPLES
from models.sets import LAST_DAY, read_set


@pytest.fixture
def write(tmp_path):
    """A folder of this many users' interactions, and of items with more columns, or fewer."""

    def write(interactions, items):
        pq.write_table(pa.table(interactions), tmp_path / "interactions.parquet")
        pq.write_table(pa.table(items), tmp_path / "items.parquet")
        return tmp_path

    return write


TWO_USERS = {"user_id": [7, 7, 7, 9], "position": [2, 0, 1, 0], "item_id": [30, 10, 20, 10]}
ITEMS = {"item_id": [10, 20, 30, 40], "title": ["mug", None, "cup", "pot"]}


def test_every_users_last_interaction_stands_on_the_last_day(write):
    read = read_set(write(TWO_USERS, ITEMS))
    assert read.examples.schema == RETRIEVAL_EXAMPLES
    assert read.examples.select(["user_id", "item_id", "event_date"]).to_pylist() == [
        {"user_id": "7", "item_id": "10", "event_date": LAST_DAY - timedelta(days=2)},
        {"user_id": "7", "item_id": "20", "event_date": LAST_DAY - timedelta(days=1)},
        {"user_id": "7", "item_id": "30", "event_date": LAST_DAY},
        {"user_id": "9", "item_id": "10", "event_date": LAST_DAY},
    ]
    assert (read.validation_day, read.test_day) == (LAST_DAY - timedelta(days=1), LAST_DAY)


def test_positions_that_were_filtered_leave_no_gap(write):
    sparse = {"user_id": [1, 1], "position": [3, 90], "item_id": [10, 20]}
    days = read_set(write(sparse, ITEMS)).examples.column("event_date").to_pylist()
    assert days == [LAST_DAY - timedelta(days=1), LAST_DAY]


def test_items_have_their_texts_and_those_without_a_title_their_id(write):
    table = read_set(write(TWO_USERS, ITEMS | {"genres": ["A", "B", None, ""]})).catalog.table
    assert table.column("item_id").to_pylist() == ["10", "20", "30", "40"]
    assert table.column("title").to_pylist() == ["mug", "20", "cup", "pot"]
    assert table.column("description").to_pylist() == ["A", "B", "", ""]


def test_an_item_that_only_interactions_know_is_in_the_catalog(write):
    read = read_set(write(TWO_USERS, {"item_id": [10, 20]}))
    assert read.catalog.table.column("item_id").to_pylist() == ["10", "20", "30"]


@pytest.mark.parametrize(
    ("interactions", "said"),
    [
        ({"user_id": [1], "item_id": [10]}, r"columns \['position'\] are missing"),
        (TWO_USERS | {"item_id": [30, None, 20, 10]}, "have a item_id that is null"),
        (TWO_USERS | {"position": [1, 1, 0, 0]}, "two interactions at one position"),
    ],
)
def test_what_is_no_set_is_refused(write, interactions, said):
    with pytest.raises(BadInputError, match=said):
        read_set(write(interactions, ITEMS))


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"no interactions\.parquet"):
        read_set(tmp_path)
