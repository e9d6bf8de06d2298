import threading
from datetime import date

import pytest

from bentos.recommender.store import PAUSE_S, FeatureMemory, StoreDownError
from domain.errors import FeatureSchemaError

WANTED = {"item_features": {"click_count_7d": "Int64"}}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(store, clock) -> FeatureMemory:
    return FeatureMemory(lambda: store, wanted={}, item_ids=["i1", "i2"], clock=clock)


def test_item_features_are_read_once_a_version(memory, store):
    for _ in range(3):
        memory.refresh()
    assert store.reads == 1
    store.version = 2
    store.event_date = date(2026, 3, 2)
    memory.refresh()
    assert (store.reads, memory.snapshot.stamp.event_date) == (2, date(2026, 3, 2))


def test_a_store_that_failed_is_left_alone_for_a_moment_and_then_asked_again(memory, store, clock):
    store.is_down = True
    with pytest.raises(StoreDownError, match="nobody answers"):
        memory.users(["anna"])
    store.is_down = False
    with pytest.raises(StoreDownError, match="nobody answers"):
        memory.users(["anna"])
    clock.now += PAUSE_S
    assert len(memory.users(["anna"])) == 1


def test_a_store_that_hangs_costs_the_budget_and_not_more(store, clock):
    hanging = threading.Event()

    class Hanging:
        def users(self, user_ids):
            hanging.wait(10)

    memory = FeatureMemory(Hanging, wanted={}, item_ids=[], clock=clock)
    with pytest.raises(StoreDownError, match=r"no answer within 0\.05 s"):
        memory.users(["anna"], budget_s=0.05)
    hanging.set()


def test_other_features_are_refused_by_name_until_they_are_right_again(store, clock):
    memory = FeatureMemory(lambda: store, wanted=WANTED, item_ids=["i1"], clock=clock)
    store.features = WANTED
    memory.refresh()
    good, store.version = store.features, 2
    store.features = {"item_features": {"click_count_7d": "Float64"}}
    with pytest.raises(FeatureSchemaError, match=r"item_features\.click_count_7d: expected Int64"):
        memory.refresh()
    with pytest.raises(StoreDownError, match=r"click_count_7d"):
        memory.users(["anna"])
    assert memory.snapshot.stamp.version == 1
    store.features = good
    memory.refresh()
    assert memory.snapshot.stamp.version == 2
    assert len(memory.users(["anna"])) == 1


def test_a_store_that_comes_up_after_the_service_is_connected_to(store, clock):
    attempts = []

    def connect():
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("not yet")
        return store

    memory = FeatureMemory(connect, wanted={}, item_ids=["i1"], clock=clock)
    with pytest.raises(ConnectionError):
        memory.refresh()
    assert memory.snapshot.stamp is None
    memory.refresh()
    assert memory.snapshot.stamp.version == 1
