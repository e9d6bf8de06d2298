"""The same shop on every server: the same rows, the same answers as on none."""

import gc
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from domain.clock import midnight, wall_now
from domain.schemas import TIMESTAMP
from domain.settings import Settings
from features.history import point_in_time
from features.materialize import materialize
from features.online import FeatureReader
from features.store import registry_file
from ingest.run import ingest
from models.batch import UserBatch
from models.catalog import Catalog
from models.retrieval.config import PersonalConfig
from models.retrieval.personal import PersonalRetriever
from quality.check import check_history
from tests.servers import postgres_url, redis_url
from warehouse.build import build_all, build_days

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SERVERS: Mapping[str, Mapping[str, Callable]] = {
    "registry": {"registry": postgres_url},
    "online-postgresql": {"online_store": postgres_url},
    "online-redis": {"online_store": redis_url},
    "all": {
        # A server that sorts texts as people do, not by their bytes.
        "warehouse": lambda: postgres_url(options="locale_provider icu icu_locale 'en-US'"),
        "registry": postgres_url,
        "online_store": redis_url,
    },
}
PEOPLE = 60


@dataclass(frozen=True)
class Answers:
    """What a shop says: its published files, and what is read of them."""

    marts: Mapping[str, bytes]
    history: pa.Table
    users: pa.Table
    items: pa.Table
    windows: list[list[str]]
    """The best ten items for each user."""


def published(settings: Settings) -> dict[str, bytes]:
    files = sorted(settings.marts.rglob("*.parquet"))
    return {str(file.relative_to(settings.marts)): file.read_bytes() for file in files}


def build_again(settings: Settings) -> None:
    """Everything, then the newest day once more: a full build and one that replaces a day."""
    build_all(settings)
    newest = max(path.name for path in (settings.marts / "events").iterdir())
    build_days(settings, [date.fromisoformat(newest.removeprefix("event_date="))])


def ask(settings: Settings) -> Answers:
    materialize(settings)
    reader = FeatureReader(settings)
    now = datetime.combine(reader.stamp().event_date, datetime.max.time(), tzinfo=UTC)
    examples = ds.dataset(settings.marts / "retrieval_examples").to_table()
    user_ids = [*sorted(set(examples["user_id"].to_pylist()))[:PEOPLE], "nobody"]
    newest = sorted(settings.marts.glob("items/*/part.parquet"))[-1]
    catalog = Catalog.from_table(pq.ParquetFile(newest).read())
    users = reader.users(user_ids, now=now)
    until = now.date()
    moments = pa.array([now] * len(user_ids), TIMESTAMP)
    return Answers(
        published(settings),
        point_in_time(
            settings,
            pa.table({"user_id": user_ids, "event_timestamp": moments}),
            service="retrieval",
        ),
        users,
        reader.items([str(item) for item in catalog.item_ids[2:]], now=now),
        windows(
            users, catalog, examples.filter(ds.field("event_timestamp") < midnight(until)), now
        ),
    )


def windows(
    users: pa.Table, catalog: Catalog, examples: pa.Table, now: datetime
) -> list[list[str]]:
    model = PersonalRetriever.fit(examples, catalog, until=now.date(), config=PersonalConfig())
    scores_BV = model.scores(UserBatch.from_table(users, catalog, now=now))
    return [
        [str(catalog.item_ids[item]) for item in (-scores_V).argsort(kind="stable")[:10]]
        for scores_V in scores_BV
    ]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Answers]:
    """The shop on no server at all."""
    home = tmp_path_factory.mktemp("embedded")
    settings = Settings(home=home, source="simulated", simulator_preset="debug")
    ingest(settings, now=wall_now())
    check_history(["landed"], settings)
    build_all(settings)
    check_history(["features"], settings)
    return settings, ask(settings)


@pytest.fixture(params=sorted(SERVERS))
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, embedded: tuple[Settings, Answers]
) -> Iterator[Settings]:
    """A home with the same landed rows, on these servers."""
    there = embedded[0]
    with ExitStack() as opened:
        urls = {name: opened.enter_context(url()) for name, url in SERVERS[request.param].items()}
        settings = there.model_copy(update={"home": tmp_path / "elsewhere", **urls})
        settings = Settings(**settings.model_dump())
        shutil.copytree(there.lake, settings.lake)
        if settings.warehouse == "duckdb":
            shutil.copytree(there.marts, settings.marts)
        else:
            build_again(settings)
        yield settings
        # Feast leaves connections to the collector, which must come before their database goes.
        with warnings.catch_warnings(action="ignore"):
            gc.collect()


def test_rows_and_answers_are_those_of_the_embedded_shop(embedded, elsewhere):
    expected, found = embedded[1], ask(elsewhere)

    assert found.marts.keys() == expected.marts.keys()
    assert [name for name in found.marts if found.marts[name] != expected.marts[name]] == []
    for name in ("history", "users", "items", "windows"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.users["click_count_7d"].null_count < len(found.users)

    # What a bundle takes along is enough to read the same far from the home.
    far = FeatureReader(elsewhere.online_address, registry=registry_file(elsewhere))
    assert far.users(found.users["user_id"].to_pylist(), now=_now(far)).equals(expected.users)


def _now(reader: FeatureReader) -> datetime:
    return datetime.combine(reader.stamp().event_date, datetime.max.time(), tzinfo=UTC)
