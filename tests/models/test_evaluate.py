from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from domain.errors import BadInputError, CannotJudgeError
from domain.schemas import RECOMMENDATIONS
from models.evaluate import TASKS, judge, judge_lists, make_task, paired_difference
from models.histories import user_batch_at
from models.metrics import hit_rate_at_k, ndcg_at_k, recall_at_k
from models.splits import Split, split_by_time

DAY = date(2026, 1, 1)
CUTOFF = date(2026, 3, 1)


@pytest.fixture
def split(planted):
    return split_by_time(planted.examples, cutoff=planted.cutoff, until=planted.until)


@pytest.fixture
def tiny(planted):
    """One old user and one new; i000 and i001 sold before; i002 is new, i003 never sold before."""
    train = [("u1", "i000", DAY), ("u2", "i001", DAY), ("u2", "i002", CUTOFF - timedelta(days=1))]
    test = [("u1", "i000", CUTOFF), ("u1", "i001", CUTOFF), ("u1", "i003", CUTOFF)]
    test += [("u2", "i001", CUTOFF), ("stranger", "i000", CUTOFF)]
    return Split(planted.table(train), planted.table(test), CUTOFF, CUTOFF + timedelta(days=7))


def relevant(task, catalog):
    return {
        user: set(catalog.item_ids[task.relevant_BV[row].indices])
        for row, user in enumerate(task.user_ids)
    }


def test_any_counts_repeats_of_items_sold_before_by_users_seen_before(planted, tiny):
    task = make_task("any", tiny, planted.catalog, min_users=1)
    assert relevant(task, planted.catalog) == {"u1": {"i000", "i001"}, "u2": {"i001"}}
    assert task.candidates_V.sum() == 3
    assert task.hidden_BV.nnz == 0


def test_new_counts_only_what_the_user_never_bought_and_hides_the_rest(planted, tiny):
    task = make_task("new", tiny, planted.catalog, min_users=1)
    assert relevant(task, planted.catalog) == {"u1": {"i001"}}
    assert task.hidden_BV[0].indices.tolist() == [2]


def test_too_few_users_cannot_be_judged(planted, tiny):
    with pytest.raises(CannotJudgeError, match="expected at least 20"):
        make_task("any", tiny, planted.catalog)


def test_new_items_and_new_users_are_those_of_the_last_thirty_days(planted, tiny):
    late = planted.table([("u3", "i000", CUTOFF - timedelta(days=2))])
    test = planted.table([("u3", "i002", CUTOFF), ("u1", "i000", CUTOFF)])
    split = Split(pa.concat_tables([tiny.train, late]), test, CUTOFF, tiny.until)
    task = make_task("any", split, planted.catalog, min_users=1)
    assert task.user_ids.tolist() == ["u1", "u3"]
    assert task.slices["new_users"].tolist() == [False, True]
    assert task.slices["new_items"].tolist() == [False, True]


@pytest.mark.parametrize("name", TASKS)
def test_a_score_matrix_and_its_lists_give_the_same_numbers(planted, split, name, monkeypatch):
    monkeypatch.setattr("models.evaluate.CHUNK_USERS", 7)
    task = make_task(name, split, planted.catalog)
    batch = user_batch_at(
        split.train, planted.catalog, until=planted.cutoff, user_ids=list(task.user_ids)
    )
    table = np.random.default_rng(0).normal(size=(len(batch), 42)).astype(np.float32)
    row_of = {user: row for row, user in enumerate(task.user_ids)}
    judged = judge(lambda part: table[[row_of[u] for u in part.user_ids]], batch, task, model="m")

    lists, ranked = [], []
    for row, user in enumerate(task.user_ids):
        allowed = task.candidates_V.copy()
        allowed[task.hidden_BV[row].indices] = False
        order = [at for at in np.argsort(-table[row]) if allowed[at]][:10]
        ranked.append([planted.catalog.item_ids[at] for at in order])
        lists += [
            {"user_id": user, "item_id": item, "score": 1.0 / place, "rank": place}
            for place, item in enumerate(ranked[-1], 1)
        ]
    listed = judge_lists(
        pa.Table.from_pylist(lists, RECOMMENDATIONS), task, planted.catalog, model="m"
    )
    assert listed.per_user.equals(judged.per_user)
    assert listed.coverage == judged.coverage
    assert {n: t.equals(judged.per_slice[n]) for n, t in listed.per_slice.items()} == {
        "new_users": True,
        "heavy_users": True,
        "new_items": True,
    }
    truth = list(relevant(task, planted.catalog).values())
    for column, metric in (
        ("recall_at_10", recall_at_k),
        ("ndcg_at_10", ndcg_at_k),
        ("hit_rate_at_10", hit_rate_at_k),
    ):
        mean = judged.per_user[column].to_numpy().mean()
        assert mean == pytest.approx(metric(ranked, truth, k=10))


def test_hidden_items_take_no_place_in_a_matrix_but_waste_one_in_a_list(planted, tiny):
    task = make_task("new", tiny, planted.catalog, min_users=1)
    batch = user_batch_at(tiny.train, planted.catalog, until=CUTOFF, user_ids=["u1"])
    scores = np.full((1, 42), -np.inf, dtype=np.float32)
    scores[0, 2:4] = [9.0, 1.0]  # i000 is bought already, i001 is wanted
    judged = judge(lambda _: scores, batch, task, model="m")
    assert judged.per_user["mrr"].to_pylist() == [1.0]
    rows = [("u1", "i000", 9.0, 1), ("u1", "i001", 1.0, 2)]
    lists = pa.table(dict(zip(RECOMMENDATIONS.names, zip(*rows, strict=True), strict=True)))
    listed = judge_lists(lists.cast(RECOMMENDATIONS), task, planted.catalog, model="m")
    assert listed.per_user["mrr"].to_pylist() == [0.5]


def test_lists_with_an_item_twice_are_refused(planted, tiny):
    task = make_task("any", tiny, planted.catalog, min_users=1)
    rows = [("u1", "i000", 9.0, 1), ("u1", "i000", 1.0, 2)]
    lists = pa.table(dict(zip(RECOMMENDATIONS.names, zip(*rows, strict=True), strict=True)))
    with pytest.raises(BadInputError, match="same item twice"):
        judge_lists(lists.cast(RECOMMENDATIONS), task, planted.catalog, model="m")


def test_a_batch_of_other_users_is_refused(planted, split):
    task = make_task("any", split, planted.catalog)
    batch = user_batch_at(split.train, planted.catalog, until=planted.cutoff, user_ids=["u001"])
    with pytest.raises(ValueError, match="other users"):
        judge(lambda part: np.zeros((len(part), 42), np.float32), batch, task, model="m")


def test_paired_differences_are_of_the_same_users(planted, split):
    task = make_task("any", split, planted.catalog)
    batch = user_batch_at(
        split.train, planted.catalog, until=planted.cutoff, user_ids=list(task.user_ids)
    )
    generator = np.random.default_rng(1)
    a = judge(
        lambda p: generator.normal(size=(len(p), 42)).astype(np.float32), batch, task, model="a"
    )
    shuffled = a.per_user.take(generator.permutation(len(a.per_user)))
    same = paired_difference(a.per_user, shuffled)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
    with pytest.raises(CannotJudgeError, match="other users"):
        paired_difference(a.per_user, a.per_user.slice(1))


def test_summaries_are_json_and_cover_the_slices(planted, split):
    task = make_task("any", split, planted.catalog)
    batch = user_batch_at(
        split.train, planted.catalog, until=planted.cutoff, user_ids=list(task.user_ids)
    )
    judged = judge(lambda part: part.bought_BV.toarray(), batch, task, model="bought").to_json()
    assert set(judged["metrics"]) == {"recall_at_10", "ndcg_at_10", "hit_rate_at_10", "mrr"}
    ndcg = judged["metrics"]["ndcg_at_10"]
    assert 0.0 < ndcg["low"] < ndcg["mean"] < ndcg["high"] < 1.0
    assert "heavy_users" in judged["slices"]
