import numpy as np
import pyarrow as pa
import pytest

from models.evaluate import PER_USER
from models.metrics import METRIC_NAMES
from release.gate import MARGIN_SHARE, decide

USERS = 400


def judged(model: str, **mean_of_task: float) -> pa.Table:
    """Per-user metrics whose users differ a lot from one another and little between models."""
    rows = []
    for task, mean in mean_of_task.items():
        taste = np.random.default_rng(1).normal(0, 0.1, USERS)
        own = np.random.default_rng(sum(map(ord, model))).normal(0, 0.01, USERS)
        own -= own.mean()
        for user, value in enumerate(mean + taste - taste.mean() + own):
            rows.append([f"u{user}", task, model, *[value] * len(METRIC_NAMES)])
    return pa.table([pa.array(c) for c in zip(*rows, strict=True)], schema=PER_USER)


POPULARITY = judged("popularity", any=0.14, new=0.10)
CHAMPION = judged("champion", any=0.36, new=0.12)


def test_a_first_release_that_beats_popularity_on_both_tasks_goes_live():
    verdict = decide(judged("ours", any=0.36, new=0.12), popularity=POPULARITY)
    assert verdict.is_accepted
    assert [each.task for each in verdict.comparisons] == ["any", "new"]
    assert all(each.difference.low > 0 for each in verdict.comparisons)


@pytest.mark.parametrize("worse", ["any", "new"])
def test_a_first_release_that_does_not_beat_popularity_on_one_task_is_refused(worse):
    means = {"any": 0.36, "new": 0.12, worse: {"any": 0.14, "new": 0.10}[worse]}
    verdict = decide(judged("ours", **means), popularity=POPULARITY)
    assert not verdict.is_accepted
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(worse)


def test_an_equal_challenger_replaces_the_champion():
    ours = judged("ours", any=0.36, new=0.12)
    assert decide(ours, popularity=POPULARITY, champion=CHAMPION).is_accepted


@pytest.mark.parametrize(("task", "mean"), [("any", 0.33), ("new", 0.112)])
def test_a_challenger_worse_by_more_than_the_margin_is_refused(task, mean):
    means = {"any": 0.36, "new": 0.12, task: mean}
    verdict = decide(judged("ours", **means), popularity=POPULARITY, champion=CHAMPION)
    assert not verdict.is_accepted
    assert f"{task}: ndcg_at_10" in verdict.reasons[0]


def test_a_small_loss_that_is_certain_is_a_loss():
    loss = 0.36 * MARGIN_SHARE / 2
    ours = judged("ours", any=0.36 - loss, new=0.12)
    verdict = decide(ours, popularity=POPULARITY, champion=CHAMPION)
    assert not verdict.is_accepted
    assert verdict.comparisons[0].difference.low > -0.36 * MARGIN_SHARE


def test_a_challenger_as_good_as_a_champion_that_fell_below_popularity_is_refused():
    fallen = judged("champion", any=0.13, new=0.09)
    ours = judged("ours", any=0.13, new=0.09)
    verdict = decide(ours, popularity=POPULARITY, champion=fallen)
    assert not verdict.is_accepted
    assert "popularity" in verdict.reasons[0]


def test_little_knowledge_is_a_refusal_not_a_pass():
    noise = np.random.default_rng(3).normal(0, 0.3, 2 * USERS)
    ours = judged("ours", any=0.36, new=0.12)
    at = ours.schema.get_field_index("ndcg_at_10")
    values = pa.array(ours.column("ndcg_at_10").to_numpy() + noise)
    verdict = decide(
        ours.set_column(at, "ndcg_at_10", values), popularity=POPULARITY, champion=CHAMPION
    )
    assert not verdict.is_accepted


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_metric_that_is_no_number_is_refused(bad):
    ours = judged("ours", any=0.9, new=0.9)
    values = ours.column("ndcg_at_10").to_pylist()
    values[5] = bad
    at = ours.schema.get_field_index("ndcg_at_10")
    ours = ours.set_column(at, "ndcg_at_10", pa.array(values))
    verdict = decide(ours, popularity=POPULARITY)
    assert not verdict.is_accepted
    assert "missing or not a number" in verdict.reasons[0]


def test_too_few_users_other_users_doubled_users_and_a_missing_task_are_refused():
    ours = judged("ours", any=0.9, new=0.9)
    for table, word in (
        (ours.slice(0, 10), "expected at least"),
        (ours.slice(0, USERS), "expected at least"),
        (ours.slice(1), "other users"),
        (pa.concat_tables([ours, ours.slice(0, 1)]), "twice"),
        (ours.slice(0, 0), "expected at least"),
    ):
        verdict = decide(table, popularity=POPULARITY)
        assert not verdict.is_accepted
        assert word in verdict.reasons[0]


def test_a_champion_judged_on_other_users_is_refused():
    ours = judged("ours", any=0.9, new=0.9)
    verdict = decide(ours, popularity=POPULARITY, champion=CHAMPION.slice(1))
    assert not verdict.is_accepted
