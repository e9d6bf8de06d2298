from dataclasses import dataclass

import numpy as np
import pytest

from models.candidates import Candidates, not_bought, retrieve
from models.histories import user_batch_at

NO = -np.inf


@dataclass
class Fixed:
    """A source with the same opinion of everybody."""

    row: list[float]

    def scores(self, batch):
        return np.tile(np.array(self.row, dtype=np.float32), (len(batch), 1))


@pytest.fixture
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.until).take(slice(0, 3))


def source(batch, best: dict[int, float]) -> Fixed:
    row = [NO] * batch.bought_BV.shape[1]
    for item, score in best.items():
        row[item] = score
    return Fixed(row)


def test_the_union_holds_each_sources_best_once_in_item_order(batch):
    sources = {
        "a": source(batch, {2: 1.0, 9: 5.0, 4: 3.0}),
        "b": source(batch, {9: 1.0, 7: 2.0}),
    }
    found = retrieve(sources, batch, per_source=2)
    assert found.item_index_BC.tolist() == [[4, 7, 9]] * 3
    assert found.source_scores_BCS[0].tolist() == [[3.0, NO], [NO, 2.0], [5.0, 1.0]]
    assert found.source_names == ("a", "b")


def test_ranks_count_among_the_candidates_and_name_the_best_source(batch):
    sources = {"a": source(batch, {9: 5.0, 4: 3.0}), "b": source(batch, {9: 1.0, 4: 2.0})}
    found = retrieve(sources, batch, per_source=2)
    assert found.source_ranks_BCS[0].tolist() == [[2, 1], [1, 2]]
    assert [found.source_names[s] for s in found.best_source_BC[0]] == ["b", "a"]


def test_padding_and_unknown_are_never_candidates(batch):
    found = retrieve({"a": source(batch, {0: 9.0, 1: 8.0, 5: 1.0})}, batch, per_source=3)
    assert found.item_index_BC.tolist() == [[5]] * 3


def test_a_source_without_an_opinion_proposes_nothing(batch):
    found = retrieve({"a": source(batch, {}), "b": source(batch, {3: 1.0})}, batch, per_source=10)
    assert found.item_index_BC.tolist() == [[3]] * 3


def test_nobody_proposing_anything_is_an_empty_list(batch):
    found = retrieve({"a": source(batch, {})}, batch, per_source=10)
    assert found.item_index_BC.tolist() == [[0]] * 3
    assert not found.mask_BC.any()


def test_what_is_not_allowed_makes_room_for_the_next_best(batch):
    allowed = np.ones(batch.bought_BV.shape[1], dtype=bool)
    allowed[9] = False
    found = retrieve(
        {"a": source(batch, {9: 5.0, 4: 3.0, 6: 2.0})}, batch, per_source=2, allowed=allowed
    )
    assert found.item_index_BC.tolist() == [[4, 6]] * 3


def test_new_leaves_out_what_each_user_bought(batch):
    everything = source(batch, dict.fromkeys(range(2, 42), 1.0))
    found = retrieve({"a": everything}, batch, per_source=40, allowed=not_bought(batch))
    for row in range(len(batch)):
        bought = set(batch.bought_BV[row].indices.tolist())
        assert bought
        assert set(found.item_index_BC[row][found.mask_BC[row]]) == set(range(2, 42)) - bought


def test_what_was_shown_joins_unless_it_is_not_allowed(batch):
    also = np.zeros(batch.bought_BV.shape, dtype=bool)
    also[1, [20, 21]] = True
    allowed = np.ones(batch.bought_BV.shape[1], dtype=bool)
    allowed[21] = False
    found = retrieve(
        {"a": source(batch, {4: 3.0})}, batch, per_source=1, allowed=allowed, also=also
    )
    assert found.item_index_BC.tolist() == [[4, 0], [4, 20], [4, 0]]
    assert found.source_scores_BCS[0, 1].tolist() == [NO]


def test_a_batch_gives_what_each_user_alone_gets(batch):
    generator = np.random.default_rng(1)

    class Drawn:
        def __init__(self):
            self.of = {u: generator.random(42).astype(np.float32) for u in batch.user_ids}

        def scores(self, users):
            return np.stack([self.of[u] for u in users.user_ids])

    sources = {"a": Drawn(), "b": Drawn()}
    whole = retrieve(sources, batch, per_source=5)
    for row in range(len(batch)):
        alone = retrieve(sources, batch.take(slice(row, row + 1)), per_source=5)
        count = int(whole.mask_BC[row].sum())
        assert alone.item_index_BC[0].tolist() == whole.item_index_BC[row, :count].tolist()


def test_the_sources_own_scores_are_left_as_they_are(batch):
    row = np.arange(batch.bought_BV.shape[1], dtype=np.float32)

    class Held:
        held = np.tile(row, (3, 1))

        def scores(self, _):
            return self.held

    retrieve({"a": Held()}, batch, per_source=3, allowed=np.zeros(len(row), dtype=bool))
    np.testing.assert_array_equal(Held.held, np.tile(row, (3, 1)))


def test_no_source_or_no_room_is_a_wrong_argument(batch):
    with pytest.raises(ValueError, match="per_source"):
        retrieve({"a": source(batch, {})}, batch, per_source=0)
    with pytest.raises(ValueError, match="sources"):
        retrieve({}, batch, per_source=5)


def test_taking_rows_takes_all_their_parts():
    candidates = Candidates(
        np.array([[2, 3], [4, 0]], dtype=np.int32), np.zeros((2, 2, 1), np.float32), ("a",)
    )
    assert candidates.take(np.array([1])).item_index_BC.tolist() == [[4, 0]]
    assert candidates.mask_BC.tolist() == [[True, True], [True, False]]
