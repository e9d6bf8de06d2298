"""A store that is down, silent, read-only or empty while the shop is open; then it is back."""

import contextlib
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bentos.recommender.pipeline import Pipeline
from bentos.recommender.schemas import Answer, RecommendRequest
from bentos.recommender.store import PAUSE_S, FeatureMemory
from domain.schemas import MARTS
from domain.settings import Settings
from features.materialize import materialize
from features.online import FeatureReader
from features.store import registry_file
from tests import servers
from tests.proxy import Proxy, proxied

BUDGET_S = 1.0
PERSONAL = ["i6", "i5", "i7", "i1"]
POPULAR = ["i1", "i2", "i3", "i4"]


@dataclass
class Served:
    """A shop on a real store: ``address`` is the store's own, ``through`` the one it is read by."""

    address: str
    through: str
    proxy: Proxy | None
    settings: Settings
    pipeline: Pipeline
    clock: list[float]

    def ask(self) -> Answer:
        """Anna's four best; the pause after a failure is over each time."""
        self.clock[0] += PAUSE_S
        request = RecommendRequest(user_id="anna", k=4)
        return self.pipeline.recommend(request, datetime(2026, 3, 2, 9, 30, tzinfo=UTC))

    def require_personal(self) -> None:
        answer = self.ask()
        assert not answer.is_degraded, answer.degraded_reason
        assert [shown.item_id for shown in answer.items] == PERSONAL

    def require_degraded(self, reason: str) -> None:
        answer = self.ask()
        assert answer.is_degraded
        assert reason in str(answer.degraded_reason)
        assert [shown.item_id for shown in answer.items] == POPULAR

    def require_recovery(self) -> None:
        """By itself: nobody tells the service; what was on its way may still fail."""
        for _ in range(10):
            if not self.ask().is_degraded:
                break
        self.require_personal()


def write_marts(settings: Settings, day) -> None:
    moment = datetime.combine(day, time.max, tzinfo=UTC)
    known = {"event_date": day, "event_timestamp": moment}
    history = {
        "history_item_ids": ["i4", "i6"],
        "bought_item_ids": ["i6"],
        "bought_item_weights": [1.0],
    }
    rows = {
        "user_features": {"user_id": "anna", "click_count_7d": 2},
        "user_history": {"user_id": "anna", **history},
        "item_features": {"item_id": "i1", "click_count_7d": 7},
    }
    for name, row in rows.items():
        folder = settings.marts / name / f"event_date={day}"
        folder.mkdir(parents=True)
        filled = pa.Table.from_pylist([{**known, **row}], schema=MARTS[name])
        pq.write_table(filled, folder / "part.parquet")


@contextlib.contextmanager
def serving(address: str, through: str, proxy: Proxy | None, model, day) -> Iterator[Served]:
    settings = Settings(online_store=address)
    write_marts(settings, day)
    materialize(settings)
    clock = [100.0]
    registry = registry_file(settings)
    memory = FeatureMemory(
        lambda: FeatureReader(through, registry=registry, timeout_s=BUDGET_S),
        wanted={},
        item_ids=[f"i{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)],
        budget_s=BUDGET_S,
        clock=lambda: clock[0],
    )
    memory.refresh()
    try:
        yield Served(
            address, through, proxy, settings, Pipeline(model, memory, release_id="r"), clock
        )
    finally:
        memory.close()


@pytest.fixture(params=["postgresql", "redis"])
def served(request, model, day) -> Iterator[Served]:
    make = {"postgresql": servers.postgres_url, "redis": servers.redis_url}[request.param]
    with (
        make() as address,
        proxied(address) as (through, proxy),
        serving(address, through, proxy, model, day) as shop,
    ):
        yield shop


@pytest.fixture
def embedded(home: Path, model, day) -> Iterator[Served]:
    address = str(home / "feast" / "online.db")
    with serving(address, address, None, model, day) as shop:
        yield shop


def test_a_server_that_goes_away_is_done_without_and_found_again(served):
    served.require_personal()
    served.proxy.mode("down")
    served.require_degraded("the feature store is down")
    served.proxy.mode("pass")
    served.require_recovery()


def test_a_server_that_falls_silent_costs_the_budget_and_not_more(served):
    served.require_personal()
    served.proxy.mode("hole")
    served.require_degraded("the feature store is down")
    served.require_degraded("the feature store is down")
    served.proxy.mode("pass")
    served.require_recovery()


def test_a_server_that_restarted_is_not_even_noticed(served):
    served.require_personal()
    served.proxy.mode("down")
    served.proxy.mode("pass")
    served.require_recovery()


def test_silence_ends_the_read_itself_and_not_only_the_wait_for_it(served):
    registry = registry_file(served.settings)
    reader = FeatureReader(served.through, registry=registry, timeout_s=0.2)
    reader.users(["anna"])
    served.proxy.mode("hole")
    with pytest.raises(Exception, match=r"(?i)timeout|no answer"):
        reader.users(["anna"])


def test_a_server_that_was_emptied_gives_degraded_answers_until_it_is_filled(served):
    empty(served.address)
    served.require_degraded("stamp")
    materialize(served.settings)
    served.require_recovery()
    served.pipeline.features.refresh()
    assert served.pipeline.features.snapshot.item_features["click_count_7d"][0].as_py() == 7


def empty(address: str) -> None:
    if address.startswith("redis"):
        import redis

        with redis.Redis.from_url(address) as client:
            client.flushdb()
        return
    import psycopg

    with psycopg.connect(address) as connection:
        connection.execute("DELETE FROM vitrine_notes WHERE name = 'stamp'")


def test_a_table_that_was_emptied_is_not_taken_for_a_shop_of_strangers(model, day):
    import psycopg

    with servers.postgres_url() as address, serving(address, address, None, model, day) as shop:
        with psycopg.connect(address) as connection:
            connection.execute("TRUNCATE vitrine_user_features, vitrine_user_history")
        shop.require_degraded("has lost every row of user_features")


def test_a_read_only_server_serves_and_refuses_what_is_new(model, day):
    import psycopg

    with servers.postgres_url() as address, serving(address, address, None, model, day) as shop:
        name = address.rsplit("/", 1)[1]
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            materialize(shop.settings)
        shop.require_personal()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis server of the test's own: what is done to it is done to nobody else."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([program, *options], stdout=subprocess.PIPE)
    try:
        assert any(b"eady to accept" in line for line in process.stdout)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_a_read_only_redis_serves_and_refuses_what_is_new(own_redis, model, day):
    import redis

    with serving(own_redis, own_redis, None, model, day) as shop:
        client = redis.Redis.from_url(own_redis)
        client.execute_command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            materialize(shop.settings)
        shop.require_personal()
        client.close()


def _gone(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _emptied(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for view in ("user_features", "user_history"):
            connection.execute(f"DELETE FROM vitrine_{view}")


def _garbage(path: Path) -> None:
    _gone(path)
    path.write_bytes(b"this is no database\n" * 500)


def _cut(path: Path) -> None:
    _gone(path)
    path.touch()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (_gone, "no online store"),
        (_emptied, "has lost every row"),
        (_garbage, "not a database"),
        (_cut, "run vitrine materialize"),
    ],
)
def test_a_file_that_is_lost_gives_degraded_answers_until_it_is_filled(
    embedded: Served, broken: Callable[[Path], None], reason: str
):
    path = Path(embedded.address)
    embedded.require_personal()
    broken(path)
    embedded.require_degraded(reason)
    _gone(path)
    materialize(embedded.settings)
    embedded.require_recovery()
