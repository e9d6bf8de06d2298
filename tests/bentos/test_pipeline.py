from datetime import date, datetime

import pyarrow as pa
import pytest

from bentos.recommender.pipeline import Pipeline
from bentos.recommender.rerank import RerankConfig
from bentos.recommender.schemas import Answer, RecommendRequest, Task
from bentos.recommender.store import FeatureMemory
from domain.clock import midnight
from domain.errors import BadInputError
from domain.schemas import RECOMMENDATIONS


def ids(answer: Answer) -> list[str]:
    return [shown.item_id for shown in answer.items]


def ask(shop, user_id: str, now: datetime, **more) -> Answer:
    return shop.pipeline.recommend(RecommendRequest(user_id=user_id, **more), now)


def test_what_was_bought_comes_first_then_what_goes_with_it_then_what_is_popular(shop, now):
    answer = ask(shop, "anna", now, k=4)
    # i6: bought 3 + popular .5; i5: with i4 2 + .6; i7: with i6 2 + .4; i1: popular 1.0
    assert ids(answer) == ["i6", "i5", "i7", "i1"]
    assert [round(shown.score, 3) for shown in answer.items] == [3.5, 2.6, 2.4, 1.0]


def test_each_reason_names_what_really_carried_the_item(shop, now):
    reasons = {shown.item_id: shown.reason for shown in ask(shop, "anna", now, k=4).items}
    assert reasons == {
        "i6": "You bought it before",
        "i5": "Because you looked at Oak chair",
        "i7": "Goes with Tea cup, which you bought",
        "i1": "Popular this week",
    }


def test_the_task_new_offers_nothing_the_user_ever_bought(shop, now):
    assert "i6" not in ids(ask(shop, "anna", now, k=100, task="new"))
    assert {"i1", "i2"}.isdisjoint(ids(ask(shop, "ben", now, k=100, task="new")))


def test_an_item_that_is_not_available_that_day_is_not_shown(shop, now):
    shown = set(ids(ask(shop, "anna", now, k=100)))
    assert shown == {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7"}
    in_june = now.replace(month=6)
    assert "i9" in ids(ask(shop, "anna", in_june, k=100))


def test_an_unknown_user_gets_what_is_popular_and_is_told_so(shop, now):
    answer = ask(shop, "nobody", now, k=3)
    assert ids(answer) == ["i1", "i2", "i3"]
    assert {shown.reason for shown in answer.items} == {"Popular this week"}
    assert not answer.is_degraded


def test_a_store_that_is_down_gives_what_is_popular_and_says_why(shop, store, now):
    store.is_down = True
    answer = ask(shop, "anna", now, k=3)
    assert ids(answer) == ["i1", "i2", "i3"]
    assert answer.is_degraded
    assert answer.degraded_reason == "the feature store is down: nobody answers"


def test_ranks_and_positions_count_from_one_and_what_is_shown_was_certain(shop, now):
    shown = ask(shop, "anna", now, k=5).items
    assert [each.rank for each in shown] == [each.position for each in shown] == [1, 2, 3, 4, 5]
    assert {each.propensity for each in shown} == {1.0}


def test_a_batch_of_users_gets_what_each_would_get_alone(shop, day):
    users = ["ben", "nobody", "anna"]
    for task in Task:
        table = shop.pipeline.recommend_batch(users, task=task, k=5, day=day)
        assert table.schema == RECOMMENDATIONS
        for user in users:
            rows = [row for row in table.to_pylist() if row["user_id"] == user]
            alone = ask(shop, user, midnight(day), k=5, task=task)
            assert [row["item_id"] for row in rows] == ids(alone)
            assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
            assert [row["score"] for row in rows] == [shown.score for shown in alone.items]


def test_thousands_of_users_in_chunks_are_the_same_as_one_by_one(shop, store, day, monkeypatch):
    monkeypatch.setattr("bentos.recommender.pipeline.chunk_rows", lambda batch: 7)
    users = ["anna", "ben", "nobody"] * 700
    table = shop.pipeline.recommend_batch(store.users(users), task=Task.ANY, k=3, day=day)
    of_three = shop.pipeline.recommend_batch(users[:3], task=Task.ANY, k=3, day=day)
    assert table.equals(pa.concat_tables([of_three] * 700).combine_chunks())


def test_a_batch_without_users_is_an_empty_table(shop, day):
    table = shop.pipeline.recommend_batch([], task=Task.ANY, k=3, day=day)
    assert table.schema == RECOMMENDATIONS
    assert len(table) == 0


def test_k_below_one_is_refused_in_a_batch(shop, day):
    with pytest.raises(BadInputError, match="k must be at least 1"):
        shop.pipeline.recommend_batch(["anna"], task=Task.ANY, k=0, day=day)


def test_a_category_that_filled_its_share_steps_back_behind_the_others(model, store, now):
    features = FeatureMemory(lambda: store, wanted={}, item_ids=["i1"] * 10)
    strict = RerankConfig(category_share=0.25, brand_share=1)
    pipeline = Pipeline(model, features, release_id="r", rerank=strict)
    answer = pipeline.recommend(RecommendRequest(user_id="nobody", k=4), now)
    # Ranked i1 i2 i3 (lights), i4 i5 (chairs), i6 …: one of four may be of a category.
    assert [shown.item_id for shown in answer.items] == ["i1", "i4", "i6", "i2"]


def test_an_item_just_launched_is_lifted_when_the_shop_asks_for_it(model, store):
    features = FeatureMemory(lambda: store, wanted={}, item_ids=["i1"] * 10)
    lifting = RerankConfig(category_share=1, brand_share=1, fresh_lift=2.0)
    pipeline = Pipeline(model, features, release_id="r", rerank=lifting)
    launch = midnight(date(2026, 6, 3))
    answer = pipeline.recommend(RecommendRequest(user_id="nobody", k=3), launch)
    assert [shown.item_id for shown in answer.items] == ["i9", "i1", "i2"]
