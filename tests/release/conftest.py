"""A run that is real in every file and tiny in every number, and a store with its features."""

import shutil
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file

from domain.clock import wall_now, write_last_date
from domain.files import write_json
from domain.progress import silent
from domain.schemas import ITEMS, MARTS
from domain.settings import Settings
from models.catalog import Catalog
from models.fusion import Calibration, Fusion
from models.ranking.config import DnnConfig, TransformerConfig
from models.ranking.dnn import FeatureNetwork
from models.ranking.features import feature_names, item_slice
from models.ranking.transformer import CandidateTransformer
from models.retrieval import PersonalRetriever, PopularityRetriever
from models.retrieval.config import PersonalConfig
from models.runs import RunInfo, read_run
from models.text import Encoder
from release.gate import Verdict
from release.judge import Judged
from release.promote import Outcome, Serving, promote

SOURCES = ("popularity", "personal")
UNTIL = date(2026, 3, 1)
LAST_DAY = date(2026, 3, 7)
NAMES = [
    "red lantern",
    "blue lantern",
    "oak chair",
    "garden chair",
    "tea cup",
    "tea pot",
    "paper star",
    "glass star",
    "wool sock",
    "silk scarf",
    "brass bell",
    "wax candle",
]


def items_table() -> pa.Table:
    rows = [
        {
            "item_id": f"i{at:02d}",
            "title": name,
            "category": name.split()[1],
            "price_cents": 100 + at,
        }
        for at, name in enumerate(NAMES)
    ]
    return pa.Table.from_pylist(rows, schema=ITEMS)


def write_run(folder: Path, *, features: dict, encoder: Encoder | None = None) -> RunInfo:
    """A run of untrained rankers over two counted sources: every file real, nothing learned."""
    torch.manual_seed(0)
    catalog = Catalog.from_table(items_table())
    folder.mkdir(parents=True)
    catalog.write(folder / "catalog.parquet")
    text_VE = np.eye(len(catalog), 8, dtype=np.float32)
    if encoder is not None:
        text_VE = encoder.embed_catalog(catalog)
    save_file({"text_VE": text_VE}, folder / "text.safetensors")
    popularity_V = np.linspace(0, 1, len(catalog), dtype=np.float32)
    popularity_V[:2] = 0
    PopularityRetriever(popularity_V).save(folder / "retrieval" / "popularity")
    PersonalRetriever(popularity_V, PersonalConfig()).save(folder / "retrieval" / "personal")
    FeatureNetwork(DnnConfig(widths=(4,)), feature_names(SOURCES)).save(folder / "ranking" / "dnn")
    columns = item_slice(SOURCES)
    CandidateTransformer(
        TransformerConfig(width=8, heads=1),
        torch.from_numpy(text_VE),
        columns.stop - columns.start,
    ).save(folder / "ranking" / "transformer")
    Fusion(Calibration(1.0, 0.0), Calibration(1.0, 0.0), 0.5).save(folder / "fusion.json")
    content = {
        "run": folder.name, "until": str(UNTIL), "preset": "debug", "config": {"per_source": 5},
        "git_commit": "", "data_hash": "d", "features": features, "sources": list(SOURCES),
        "encoder_hash": encoder.hash if encoder else "",
    }  # fmt: skip
    write_json(folder / "run.json", content)
    return read_run(folder)


def publish(settings: Settings, table: str, day: date, rows: list[dict]) -> None:
    moment = datetime.combine(day, time.max, tzinfo=UTC)
    dated = [{"event_date": day, "event_timestamp": moment, **row} for row in rows]
    path = settings.marts / table / f"event_date={day}" / "part.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(dated, schema=MARTS[table]), path)


def publish_shop(settings: Settings) -> None:
    """Sixty users who bought item u % 12 before the cutoff and item (u + 1) % 12 after it."""
    before, after = date(2026, 2, 20), date(2026, 3, 3)
    users = [f"u{at:02d}" for at in range(60)]
    noon = {day: datetime.combine(day, time(12), tzinfo=UTC) for day in (before, after)}
    for day, shift in ((before, 0), (after, 1)):
        rows = [
            {"user_id": user, "item_id": f"i{(at + shift) % 12:02d}", "weight": 5.0,
             "is_purchase": True, "event_timestamp": noon[day]}
            for at, user in enumerate(users)
        ]  # fmt: skip
        publish(settings, "retrieval_examples", day, rows)
        bought = [
            {"user_id": user, "history_item_ids": [f"i{at % 12:02d}"],
             "bought_item_ids": [f"i{at % 12:02d}"], "bought_item_weights": [1.0]}
            for at, user in enumerate(users)
        ]  # fmt: skip
        publish(settings, "user_history", day, bought)
        publish(
            settings, "user_features", day, [{"user_id": u, "click_count_7d": 1} for u in users]
        )
        rows = [{"item_id": f"i{at:02d}", "purchase_count_7d": at} for at in range(12)]
        publish(settings, "item_features", day, rows)
    write_last_date(settings.lake, LAST_DAY)


@pytest.fixture(scope="session")
def judged_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with marts and one run, enough to judge and copy; copy it before writing to it."""
    home = tmp_path_factory.mktemp("judged")
    settings = Settings(home=home)
    publish_shop(settings)
    settings.feast.mkdir()
    (settings.feast / "registry.db").write_bytes(b"a registry")
    write_run(settings.runs / "first", features={"user_features": {"click_count_7d": "Int64"}})
    return home


@pytest.fixture(scope="session")
def shop_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with marts, a store materialized by Feast, one run; copy it before writing to it."""
    home = tmp_path_factory.mktemp("shop")
    with warnings.catch_warnings(action="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_HOME", str(home))
        from features.materialize import materialize
        from features.schema import feature_schema
        from features.store import open_store

        settings = Settings(home=home)
        publish_shop(settings)
        materialize(settings, LAST_DAY, progress=silent)
        features = feature_schema(open_store(settings))
    write_run(settings.runs / "first", features=features, encoder=Encoder())
    return home


@pytest.fixture(scope="session")
def released_home(shop_home, tmp_path_factory) -> Path:
    copied = tmp_path_factory.mktemp("bundled") / "home"
    shutil.copytree(shop_home, copied)
    return copied


def _serving_room(settings: Settings) -> Serving:
    with warnings.catch_warnings(action="ignore"):
        from bentos.recommender.golden import record
        from bentos.recommender.offline import recommend_as_of

    address = settings.online_address
    return Serving(
        recommend=partial(recommend_as_of, settings=settings),
        record=partial(record, settings=settings, online_store=address),
        registry=settings.feast / "registry.db",
        online_store=address,
    )


@pytest.fixture(scope="session")
def outcome(released_home) -> Outcome:
    """The whole way to a release, but for the gate: sixty invented users would not pass it."""
    settings = Settings(home=released_home)
    with warnings.catch_warnings(action="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("release.promote.judge_all", lambda *a, **k: Judged(None, None, None, {}))
        patch.setattr("release.promote.decide", lambda *a, **k: Verdict(True, ("for a test",)))
        run = read_run(settings.runs / "first")
        return promote(settings, run, serving=_serving_room(settings), now=wall_now())


@pytest.fixture(scope="session")
def serving_room() -> Callable[[Settings], Serving]:
    """What the serving room does for a release, for a home of the test's own."""
    return _serving_room
