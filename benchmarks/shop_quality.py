"""Does a shop's release beat the best that is merely counted, on the same users?

    vitrine train --until 2011-11-01 && vitrine evaluate
    python -m benchmarks.shop_quality [--home STATE] [--run NAME] [--model NAME …]

On a built shop (Online Retail: `make run ONCE=1 SOURCE=online_retail DATA=…`). The release is the
run that `vitrine evaluate` judged; its answers are read, not made again. Beside it, judged by the
same code on the same users (``models.evaluate``: full ranking, ties against the model, both tasks):

- each retriever by itself with the settings of the preset ``base``,
- *the mix*: EASE, recent popularity and what the user bought before; whether they are scaled, their
  shares and EASE's settings are chosen for each task on the ``VALIDATION_DAYS`` before the run's
  cutoff.

The last column is the release's NDCG@10 less the row's, user by user, with its 95 % interval.
Writes ``benchmarks/results/shop_quality.json``, ``.md`` and ``.png``. Rows of models that --model
does not name stay as an earlier measurement of the same run left them.
"""

import argparse
import itertools
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.homes import settings_of
from benchmarks.machine import RESULTS, keep, machine
from benchmarks.pictures import save
from domain.settings import Settings
from models.batch import UserBatch
from models.bootstrap import Interval, bootstrap_interval
from models.catalog import Catalog
from models.data import read_mart, read_training_data
from models.evaluate import PER_USER, TASKS, ScoresFunction, judge, paired_difference
from models.plots import interval_figure
from models.retrieval import PRESETS, RETRIEVERS, FitContext, Retriever, retriever_class
from models.retrieval.base import Scores
from models.retrieval.config import EaseConfig, PopularityConfig
from models.runs import RunInfo, find_run
from models.text import Encoder
from models.validation import Validation

logger = logging.getLogger(__name__)

VALIDATION_DAYS: Final = 42
MIX: Final = "mix of ease, popularity, personal"
RELEASE: Final = "release"
METRICS: Final = ("recall_at_10", "ndcg_at_10", "hit_rate_at_10")

_TRIED: Final = ((30, 1.0), (100, 0.5), (300, 0.5), (1_000, 0.5), (1_000, 1.0), (3_000, 1.0))
EASE_GRID: Final = tuple(
    EaseConfig(regularization=ridge, power=power, seen_weight=0.0) for ridge, power in _TRIED
)
POPULARITY: Final = PopularityConfig()
SHARES: Final = (0.0, 0.1, 0.4, 0.8)
RAW_SHARES: Final = (0.0, 0.3, 1.0, 3.0)
BOUGHT_POWERS: Final = (0.5, 1.0)


@dataclass(frozen=True)
class Blend:
    """One way to mix: 1 EASE + ``popularity`` + ``bought``.

    Attributes:
        ease: EASE's settings.
        popularity: The share of recent popularity.
        bought: The share of what the user bought, by decayed weight.
        power: Of that weight.
        is_scaled: Whether each part is divided by the user's largest first.
    """

    ease: EaseConfig
    popularity: float
    bought: float
    power: float
    is_scaled: bool

    def __str__(self) -> str:
        return (
            f"1 ease (regularization {self.ease.regularization:g}, power {self.ease.power:g}) + "
            f"{self.popularity:g} popularity + {self.bought:g} bought to the {self.power:g}, "
            + ("scaled" if self.is_scaled else "as they are")
        )


def blends(ease: EaseConfig) -> Iterator[Blend]:
    """Every mix with these settings of EASE that is tried."""
    for popularity, bought in itertools.product(SHARES, SHARES):
        yield Blend(ease, popularity, bought, 1.0, is_scaled=True)
    for popularity, bought, power in itertools.product(RAW_SHARES, RAW_SHARES, BOUGHT_POWERS):
        yield Blend(ease, popularity, bought, power, is_scaled=False)


@dataclass(frozen=True)
class Exam:
    """What was bought from ``since`` on, before ``until``, and by what it is to be foretold."""

    examples: pa.Table
    catalog: Catalog
    since: date
    until: date

    @cached_property
    def validation(self) -> Validation:
        """Both tasks and their users, worked out once for all that is judged."""
        return Validation.of(self.examples, self.catalog, cutoff=self.since, until=self.until)

    @property
    def known(self) -> pa.Table:
        """What a model may learn from."""
        return self.validation.train

    def judged(self, name: str, scores: Mapping[str, ScoresFunction]) -> dict[str, pa.Table]:
        """Task → ``PER_USER`` of a model, which may answer each task in its own way."""
        return {
            task.name: judge(scores[task.name], batch, task, model=name).per_user
            for task, batch in self.validation.exams
        }


def fitted(exam: Exam, name: str, config: Any, context: FitContext) -> Retriever:
    """A retriever that knows what was before the exam."""
    return retriever_class(name).fit(
        exam.known, exam.catalog, until=exam.since, config=config, context=context
    )


Parts = Mapping[str, ScoresFunction]
"""What is mixed, by name; 0 is no opinion."""


def parts_of(exam: Exam, ease: EaseConfig) -> Parts:
    """EASE, recent popularity, and what a user bought by each power of its weight."""
    learned = {"ease": ease, "popularity": POPULARITY}
    parts = {
        name: _finite(fitted(exam, name, each, FitContext()).scores)
        for name, each in learned.items()
    }
    return parts | {f"bought {power:g}": _bought(power) for power in BOUGHT_POWERS}


def _finite(scores: ScoresFunction) -> ScoresFunction:
    def known(batch: UserBatch) -> Scores:
        scores_BV = scores(batch)
        return np.where(np.isfinite(scores_BV), scores_BV, np.float32(0.0))

    return known


def _bought(power: float) -> ScoresFunction:
    def weights(batch: UserBatch) -> Scores:
        bought_BV = batch.bought_BV.tocsr().astype(np.float32)
        bought_BV.data **= power
        return np.asarray(bought_BV.toarray(), dtype=np.float32)

    return weights


def blended(parts: Parts, blend: Blend) -> ScoresFunction:
    """The weighted sum."""
    shares = {
        "ease": 1.0,
        "popularity": blend.popularity,
        f"bought {blend.power:g}": blend.bought,
    }

    def scores(batch: UserBatch) -> Scores:
        total_BV: Scores = np.zeros(batch.bought_BV.shape, dtype=np.float32)
        for name, share in shares.items():
            if not share:
                continue
            part_BV = parts[name](batch)
            if blend.is_scaled:
                part_BV = part_BV / np.maximum(part_BV.max(axis=1, keepdims=True), 1e-12)
            total_BV += np.float32(share) * part_BV
        return total_BV

    return scores


def mixes(exam: Exam) -> Iterator[tuple[Blend, dict[str, float]]]:
    """Every mix that is tried, and what it reaches: task → NDCG@10."""
    for ease in EASE_GRID:
        parts = {name: _remembered(part) for name, part in parts_of(exam, ease).items()}
        for blend in blends(ease):
            judged = exam.judged(MIX, dict.fromkeys(TASKS, blended(parts, blend)))
            yield blend, {task: mean_ndcg(each) for task, each in judged.items()}
        logger.info("mixes with %s tried", ease)


def _remembered(scores: ScoresFunction) -> ScoresFunction:
    """The same, asked once about each user: the mixes differ in shares alone."""
    known: dict[tuple[str, ...], Any] = {}

    def again(batch: Any) -> Any:
        key = tuple(batch.user_ids)
        if key not in known:
            known[key] = scores(batch)
        return known[key]

    return again


def mean_ndcg(per_user: pa.Table) -> float:
    """Over users."""
    return float(per_user.column("ndcg_at_10").to_numpy().mean())


def best_mix(validation: Exam, test: Exam) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """The mix that validation likes best for each task, judged on the test, and its settings."""
    tried = list(mixes(validation))
    scores, words = {}, {}
    for task in TASKS:
        blend, ndcg = max(tried, key=lambda one: one[1][task])
        scores[task] = blended(parts_of(test, blend.ease), blend)
        words[task] = f"{task}: {blend}; validation {ndcg[task]:.4f}, best of {len(tried)} mixes"
    return test.judged(MIX, scores), words


def released(info: RunInfo) -> dict[str, pa.Table]:
    """Task → ``PER_USER`` of every model of the run, as ``vitrine evaluate`` left it."""
    path = info.folder / "evaluation" / "per_user.parquet"
    if not path.exists():
        raise SystemExit(f"{info.name} was not judged: run vitrine evaluate --run {info.name}")
    table = pl.DataFrame(pq.read_table(path))
    return {
        name: table.filter(pl.col("model") == name).to_arrow().cast(PER_USER)
        for name in ("dnn", "transformer", "fusion", RELEASE)
    }


Row = dict[str, Any]


def row_of(name: str, tables: Mapping[str, pa.Table], release: Mapping[str, pa.Table]) -> Row:
    """A model's numbers on both tasks, and how far the release is ahead."""
    tasks = {}
    for task, per_user in tables.items():
        values = {metric: per_user.column(metric).to_numpy() for metric in METRICS}
        told = {metric: vars(bootstrap_interval(each)) for metric, each in values.items()}
        ahead = paired_difference(release[task], per_user)
        tasks[task] = {"users": len(per_user), **told, "release_ahead": vars(ahead)}
    return {"model": name, "tasks": tasks}


def by_task(per_user: pa.Table) -> dict[str, pa.Table]:
    """The table of each task."""
    table = pl.DataFrame(per_user)
    return {task: table.filter(pl.col("task") == task).to_arrow().cast(PER_USER) for task in TASKS}


def page(result: Mapping[str, Any]) -> list[str]:
    """All rows as Markdown, by NDCG@10 in ``any``."""
    lines = [
        "# Models on a shop, judged by time",
        "",
        "![All models](shop_quality.png)",
        "",
        f"`{result['source']}`, trained before {result['since']}, judged before {result['until']};",
        "full ranking, 95 % intervals over users; *ahead*: the release's NDCG@10 less the row's,",
        "user by user.",
    ]
    rows: Sequence[Row] = result["rows"]
    for task in TASKS:
        users = rows[0]["tasks"][task]["users"]
        lines += ["", f"## {task}: {users:,} users", ""]
        lines += ["| model | recall@10 | NDCG@10 | hit rate@10 | release ahead | fit, s |"]
        lines += ["|---|---|---|---|---|---|"]
        for row in sorted(rows, key=lambda one: one["tasks"][task]["ndcg_at_10"]["mean"]):
            told = row["tasks"][task]
            cells = [_interval(told[metric]) for metric in METRICS]
            ahead = "" if row["model"] == RELEASE else _interval(told["release_ahead"], sign="+")
            seconds = f"{row['fit_s']:.1f}" if "fit_s" in row else ""
            lines.append(f"| {' | '.join([row['model'], *cells, ahead, seconds])} |")
    return [*lines, "", *(f"- {words}." for words in result["mix"].values())]


def draw(result: Mapping[str, Any], path: Path) -> None:
    """NDCG@10 of each model and task, the release highlighted."""
    panels = {}
    for task in TASKS:
        told = {row["model"]: row["tasks"][task]["ndcg_at_10"] for row in result["rows"]}
        rows = sorted(told.items(), key=lambda one: -one[1]["mean"])
        panels[task] = [(model, Interval(**one)) for model, one in rows]
    save(interval_figure(panels, label="NDCG@10, 95 % interval", highlight=RELEASE), path)


def _interval(told: Mapping[str, float], sign: str = "") -> str:
    one = Interval(**told)
    return f"{one.mean:{sign}.4f} [{one.low:{sign}.4f}, {one.high:{sign}.4f}]"


def kept(result: Mapping[str, Any]) -> list[Row]:
    """Rows that an earlier measurement of the same run left; another's were held against it."""
    path = RESULTS / "shop_quality.json"
    if not path.exists():
        return []
    before = json.loads(path.read_text(encoding="utf-8"))
    told = ("source", "since", "until", "data_hash", "run")
    same = all(before.get(key) == result[key] for key in told)
    return list(before["rows"]) if same else []


def measure(of: Settings, info: RunInfo, names: Sequence[str]) -> dict[str, Any]:
    """Judge the models, the mix and the run's own."""
    facts = json.loads((info.folder / "evaluation" / "metrics.json").read_text())["facts"]
    until = date.fromisoformat(facts["judged until"])
    data = read_training_data(of.marts, until=info.until)
    examples = read_mart(of.marts, "retrieval_examples", before=until)
    catalog = Catalog.read(info.folder / "catalog.parquet")
    test = Exam(examples, catalog, info.until, until)
    earlier = info.until - timedelta(days=VALIDATION_DAYS)
    validation = Exam(data.interactions, catalog, earlier, info.until)
    own = {name: by_task(table) for name, table in released(info).items()}
    result: dict[str, Any] = {
        "machine": machine("numpy", "torch", "implicit"),
        "source": of.source.value,
        "since": str(info.until),
        "until": str(until),
        "data_hash": facts["data_hash"],
        "run": info.name,
    }
    rows = [row_of(name, tables, own[RELEASE]) for name, tables in own.items()]
    text_VE = Encoder().embed_catalog(catalog, of.cache)
    for name in names:
        began = time.perf_counter()
        model = fitted(test, name, PRESETS["base"].of(name), FitContext(text_VE, progress=_say))
        seconds = time.perf_counter() - began
        tables = test.judged(name, dict.fromkeys(TASKS, model.scores))
        rows.append(row_of(name, tables, own[RELEASE]) | {"fit_s": round(seconds, 1)})
        logger.info("%s %s", name, {task: mean_ndcg(each) for task, each in tables.items()})
    tables, result["mix"] = best_mix(validation, test)
    rows.append(row_of(MIX, tables, own[RELEASE]))
    new = {row["model"] for row in rows}
    result["rows"] = [*rows, *(row for row in kept(result) if row["model"] not in new)]
    return result


def _say(
    stage: str, message: str, *, done: float | None = None, total: float | None = None
) -> None:
    if done is not None:
        logger.info("  %s: %s", stage, message)


def main() -> None:
    """Judge and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--run", default=None, help="Default: the one trained last.")
    parser.add_argument("--model", action="append", choices=list(RETRIEVERS), default=[])
    asked = parser.parse_args()
    of = settings_of(asked.home) if asked.home else Settings()
    if not of.runs.is_dir():
        print("shop_quality: no built shop; `make run ONCE=1` makes one; not measured")
        return
    result = measure(of, find_run(of.runs, asked.run), asked.model or list(RETRIEVERS))
    keep("shop_quality", result, page(result))
    draw(result, RESULTS / "shop_quality.png")


if __name__ == "__main__":
    main()
