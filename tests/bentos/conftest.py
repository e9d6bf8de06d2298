"""A shop small enough to check by hand: ten items, three users, real retrievers, a real catalog."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bentos.recommender.event_log import EventLog
from bentos.recommender.load import open_shop
from bentos.recommender.ports import Reader
from bentos.recommender.shop import Shop
from domain.manifest import Manifest
from domain.schemas import ITEM_FEATURE_TYPES, ITEMS, USER_FEATURE_TYPES, USER_HISTORY_TYPES
from domain.stamp import StoreStamp
from models.batch import UserBatch
from models.candidates import Candidates, not_bought, retrieve
from models.catalog import Catalog
from models.retrieval import PopularityRetriever
from models.retrieval.base import Scores, hide_non_items

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FEATURES = {
    "user_features": dict.fromkeys(USER_FEATURE_TYPES, "Int64"),
    "user_history": dict.fromkeys(USER_HISTORY_TYPES, "Array(String)"),
    "item_features": dict.fromkeys(ITEM_FEATURE_TYPES, "Int64"),
}
# item_id, title, category, brand, price, from, until; popularity falls with the number.
ROWS = [
    ("i1", "Red paper lantern", "lights", "Lumo", 1000, None, None),
    ("i2", "Blue paper lantern", "lights", "Lumo", 1200, None, None),
    ("i3", "Glass lantern", "lights", "Clara", 3000, None, None),
    ("i4", "Oak chair", "chairs", "Woody", 9000, None, None),
    ("i5", "Garden chair", "chairs", "Woody", 7000, None, None),
    ("i6", "Tea cup", "kitchen", "Clara", 500, None, None),
    ("i7", "Tea pot", "kitchen", "Clara", 2500, None, None),
    ("i8", "Winter lantern", "lights", "Lumo", 1500, None, date(2026, 2, 1)),
    ("i9", "Summer chair", "chairs", "Woody", 8000, date(2026, 6, 1), None),
    ("i0", "Coffee mug", "kitchen", None, None, None, None),
]
USERS = {
    "anna": (["i4", "i6"], ["i6"]),
    "ben": (["i1", "i2"], ["i2", "i1"]),
}


class Together:
    """What was taken together, as a table: the miniature of a learned retriever."""

    name = "als"

    def __init__(self, catalog: Catalog) -> None:
        self.weights_VV = np.zeros((len(catalog), len(catalog)), dtype=np.float32)
        for left, right in (("i6", "i7"), ("i1", "i3"), ("i4", "i5"), ("i2", "i8"), ("i4", "i9")):
            a, b = catalog.index_of([left, right])
            self.weights_VV[a, b] = self.weights_VV[b, a] = 1.0

    def scores(self, batch: UserBatch) -> Scores:
        seen_BV = np.zeros((len(batch), len(self.weights_VV)), dtype=np.float32)
        np.put_along_axis(seen_BV, batch.history_BT.astype(np.int64), 1.0, axis=1)
        seen_BV[:, :2] = 0.0
        scores_BV = seen_BV @ self.weights_VV
        scores_BV[scores_BV == 0] = -np.inf
        return hide_non_items(scores_BV)


class Words:
    """A text encoder of letters: deterministic, and near for near words."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(map(ord, word)) % 512] += 1.0
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


class SmallModel:
    """The Recommender's protocol over ten items; ranking adds up what the sources say."""

    def __init__(self) -> None:
        items = [(*row[:2], f"A fine {row[1].lower()}", *row[2:5], None, *row[5:]) for row in ROWS]
        columns = list(zip(*items, strict=True))
        self.catalog = Catalog.from_table(
            pa.table([pa.array(c, f.type) for c, f in zip(columns, ITEMS, strict=True)], ITEMS)
        )
        popularity_V = np.zeros(len(self.catalog), dtype=np.float32)
        for at, row in enumerate(ROWS):
            popularity_V[self.catalog.index_of([row[0]])[0]] = 1.0 - at / 10
        self.retrievers = {
            "popularity": PopularityRetriever(popularity_V),
            "als": Together(self.catalog),
        }
        self.encoder = Words()
        self.text_VE = np.zeros((len(self.catalog), 512), dtype=np.float32)
        self.text_VE[2:] = self.encoder.encode(self.catalog.table.column("title").to_pylist())

    def retrieve(self, batch: UserBatch, *, bought: str, day: date) -> Candidates:
        allowed = not_bought(batch) if bought == "new" else None
        return retrieve(self.retrievers, batch, per_source=10, allowed=allowed)

    def rank(self, batch: UserBatch, candidates: Candidates, item_features: pa.Table) -> np.ndarray:
        assert len(item_features) == len(self.catalog) - 2
        finite = np.where(
            np.isfinite(candidates.source_scores_BCS), candidates.source_scores_BCS, 0.0
        )
        rows = np.arange(len(batch))[:, None]
        repeats = np.asarray(batch.bought_BV[rows, candidates.item_index_BC].todense())
        return finite[:, :, 0] + 2 * finite[:, :, 1] + 3 * repeats


@dataclass
class SmallStore:
    """An online store in memory that can be taken down, upgraded or spoilt."""

    version: int = 1
    event_date: date = date(2026, 3, 1)
    features: dict = field(default_factory=lambda: FEATURES)
    is_down: bool = False
    reads: int = 0

    def stamp(self) -> StoreStamp:
        self._answer()
        return StoreStamp(self.features, self.event_date, self.version)

    def users(self, user_ids: Sequence[str]) -> pa.Table:
        self._answer()
        histories = [USERS.get(user) for user in user_ids]
        columns = {
            "history_item_ids": [known and known[0] for known in histories],
            "bought_item_ids": [known and known[1] for known in histories],
            "bought_item_weights": [known and [1.0] * len(known[1]) for known in histories],
        }
        nulls = {n: pa.nulls(len(user_ids), kind) for n, kind in USER_FEATURE_TYPES.items()}
        lists = {n: pa.array(columns[n], kind) for n, kind in USER_HISTORY_TYPES.items()}
        return pa.table({"user_id": pa.array(user_ids, pa.string()), **nulls, **lists})

    def items(self, item_ids: Sequence[str]) -> pa.Table:
        self._answer()
        self.reads += 1
        nulls = {n: pa.nulls(len(item_ids), kind) for n, kind in ITEM_FEATURE_TYPES.items()}
        return pa.table({"item_id": pa.array(item_ids, pa.string()), **nulls})

    def _answer(self) -> None:
        if self.is_down:
            raise ConnectionError("nobody answers")


def manifest(**changes: object) -> Manifest:
    facts = {
        "release_id": "small-1",
        "run": "small",
        "source": "simulated",
        "until": DAY,
        "preset": "debug",
        "git_commit": "",
        "data_hash": "",
        "feature_services": ("retrieval", "ranking"),
        "features": FEATURES,
        "weights_hash": "",
    }
    return Manifest(**{**facts, **changes})


@pytest.fixture(scope="session")
def model() -> SmallModel:
    return SmallModel()


@pytest.fixture
def store() -> SmallStore:
    return SmallStore()


@pytest.fixture
def log_folder(tmp_path: Path) -> Path:
    return tmp_path / "event_log"


def small_shop(
    model: SmallModel,
    store: SmallStore,
    log_folder: Path | None,
    *,
    connect: Callable[[], Reader] | None = None,
    features: dict = FEATURES,
) -> Shop:
    return open_shop(
        model,
        manifest=manifest(features=features),
        connect=connect or (lambda: store),
        encoder=model.encoder,
        queries={"tea pot": 9},
        log=EventLog(log_folder, worker="worker-1"),
        known_users=lambda limit: sorted(USERS)[:limit],
        wall=lambda: datetime(2027, 1, 1, 9, 30, tzinfo=UTC),
    )


@pytest.fixture
def shop(model: SmallModel, store: SmallStore, log_folder: Path) -> Shop:
    return small_shop(model, store, log_folder)


@pytest.fixture(scope="session")
def server_shop(model: SmallModel) -> Shop:
    """A shop for the server's start; each test puts its own in its place."""
    return small_shop(model, SmallStore(), None)


@pytest.fixture
def shop_over(model: SmallModel, store: SmallStore) -> Callable[..., Shop]:
    """The small shop over another store: ``connect`` and the ``features`` it was released with."""
    return lambda **over: small_shop(model, store, None, **over)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def day() -> date:
    return DAY
