"""The mix and its comparison, on a planted shop."""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import shop_quality
from benchmarks.shop_quality import (
    MIX,
    RELEASE,
    Blend,
    Exam,
    best_mix,
    blended,
    by_task,
    mean_ndcg,
    page,
    row_of,
)
from domain.schemas import ITEMS, RETRIEVAL_EXAMPLES
from models.catalog import Catalog
from models.evaluate import PER_USER, TASKS
from models.retrieval.config import EaseConfig

FIRST = date(2026, 1, 1)


@pytest.fixture(scope="module")
def exams() -> tuple[Exam, Exam]:
    """40 users who buy every third day: a staple of their own, or something of their group."""
    rng = np.random.default_rng(5)
    rows = [
        (
            f"u{user:02d}",
            f"i{user % 4 + 4 * (user % 5 if day % 2 else int(rng.integers(30))):03d}",
            day,
        )
        for user in range(40)
        for day in range(0, 60, 3)
    ]
    days = [FIRST + timedelta(days=day) for _, _, day in rows]
    columns = {
        "user_id": pa.array([row[0] for row in rows]),
        "item_id": pa.array([row[1] for row in rows]),
        "event_date": pa.array(days, pa.date32()),
        "event_timestamp": pa.array(days, pa.date32()).cast(pa.timestamp("us", tz="UTC")),
        "weight": pa.array([5.0] * len(rows)),
        "is_purchase": pa.array([True] * len(rows)),
    }
    examples = pa.table({f.name: columns[f.name] for f in RETRIEVAL_EXAMPLES}, RETRIEVAL_EXAMPLES)
    ids = sorted({row[1] for row in rows})
    items = {
        f.name: pa.array(ids) if f.name in ("item_id", "title") else pa.nulls(len(ids), f.type)
        for f in ITEMS
    }
    catalog = Catalog.from_table(pa.table(items, ITEMS))
    middle, end = FIRST + timedelta(days=45), FIRST + timedelta(days=60)
    until = middle - timedelta(days=15)
    return Exam(examples, catalog, until, middle), Exam(examples, catalog, middle, end)


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_quality, "SHARES", (0.0, 0.8))
    monkeypatch.setattr(shop_quality, "RAW_SHARES", (1.0,))
    monkeypatch.setattr(shop_quality, "EASE_GRID", (EaseConfig(seen_weight=0.0),))


def test_an_exam_knows_nothing_of_its_days(exams: tuple[Exam, Exam]):
    for exam in exams:
        assert max(exam.known["event_date"].to_pylist()) < exam.since


def test_the_mix_is_what_validation_likes_best_of_each_task(
    exams: tuple[Exam, Exam], monkeypatch: pytest.MonkeyPatch
):
    few(monkeypatch)
    validation, test = exams
    tried = list(shop_quality.mixes(validation))
    assert len(tried) == 4 + 2
    tables, words = best_mix(validation, test)
    for task in TASKS:
        best = max(ndcg[task] for _, ndcg in tried)
        assert f"validation {best:.4f}, best of 6 mixes" in words[task]
        assert tables[task].schema == PER_USER
    assert mean_ndcg(tables["any"]) > 0.5


def test_rows_say_how_far_the_release_is_ahead_of_them(
    exams: tuple[Exam, Exam], monkeypatch: pytest.MonkeyPatch
):
    few(monkeypatch)
    tables, words = best_mix(*exams)
    worse = {
        task: table.set_column(
            PER_USER.get_field_index("ndcg_at_10"),
            PER_USER.field("ndcg_at_10"),
            pa.compute.subtract(table["ndcg_at_10"], 0.1),
        )
        for task, table in tables.items()
    }
    rows = [row_of(RELEASE, tables, tables), row_of(MIX, worse, tables)]
    for task in TASKS:
        assert rows[0]["tasks"][task]["release_ahead"]["mean"] == 0.0
        assert rows[1]["tasks"][task]["release_ahead"]["low"] == pytest.approx(0.1)
    told = {"source": "x", "since": "a", "until": "b", "rows": rows, "mix": words}
    text = "\n".join(page(told))
    assert text.count("+0.1000 [+0.1000, +0.1000]") == 2


def test_tables_are_told_apart_by_task(exams: tuple[Exam, Exam], monkeypatch: pytest.MonkeyPatch):
    few(monkeypatch)
    tables, _ = best_mix(*exams)
    assert by_task(pa.concat_tables(tables.values())) == tables


def test_a_blend_is_the_weighted_sum_of_its_parts(exams: tuple[Exam, Exam]):
    parts = {
        "ease": lambda batch: np.array([[0.0, 2.0, 4.0]], np.float32),
        "popularity": lambda batch: np.array([[1.0, 0.5, 0.0]], np.float32),
        "bought 0.5": lambda batch: np.array([[0.0, 3.0, 0.0]], np.float32),
    }
    batch = SimpleNamespace(bought_BV=np.zeros((1, 3)))
    raw = Blend(EaseConfig(), 2.0, 1.0, 0.5, is_scaled=False)
    assert blended(parts, raw)(batch).tolist() == [[2.0, 6.0, 4.0]]
    scaled = Blend(EaseConfig(), 2.0, 1.0, 0.5, is_scaled=True)
    assert blended(parts, scaled)(batch).tolist() == [[2.0, 2.5, 1.0]]
