"""How near does each model come to the truth of a shop that is simulated, and how soon?

    python -m benchmarks.simulated_truth [--preset base] [--shops 3] [--model NAME …]

In the simulated shop it is known how likely each user is to click each item. So a model's list is
worth the clicks it would get, and the oracle's list, the most likely items in order, is worth the
most there is. Nothing is estimated from what somebody happened to click, or was shown.

- *share of the oracle's NDCG@10*: gains are the true probabilities; every user who has been seen.
- *regret*: clicks that a window of ten loses against the oracle's, where a person looks at position
  p with the simulator's own probability. Of newcomers whom no model was trained on, after their
  first 0, 1, 2 … interactions: half of those users who have ``NEWCOMER_EVENTS`` of them.

Models have the settings of the preset ``base``; items that cannot be had are no candidates. Each
shop has another seed. Writes ``benchmarks/results/simulated_truth.json``, ``.md`` and ``.png``.
"""

# B users, V catalog, K positions

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from statistics import mean
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.machine import RESULTS, keep, machine
from domain.events import INTERACTION_WEIGHTS, EventType
from domain.schemas import ITEMS, RETRIEVAL_EXAMPLES
from domain.settings import Settings
from models.batch import UserBatch
from models.bootstrap import Interval, bootstrap_interval
from models.catalog import FIRST_ITEM, Catalog
from models.histories import user_batch_at
from models.metrics import top_k
from models.retrieval import PRESETS, RETRIEVERS, FitContext, retriever_class
from models.retrieval.config import seeded
from models.text import Encoder
from simulator.config import PRESETS as SHOPS
from simulator.shop import Shop, simulate
from simulator.taste import click_probability

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]

POSITIONS: Final = 10
FIRST_EVENTS: Final = (0, 1, 2, 3, 5, 8, 12)
NEWCOMER_EVENTS: Final = max(FIRST_EVENTS)
FIRST_SEED: Final = 7
RANDOM: Final = "random"
SHOWN: Final = (RANDOM, "popularity", "content", "ease", "bayes", "next_item", "sequence")
"""The plot's lines; the table has all."""


@dataclass(frozen=True)
class Truth:
    """One simulated shop at the end of its last day.

    Attributes:
        shop: The shop.
        examples: ``RETRIEVAL_EXAMPLES`` of all its days.
        catalog: Every item known.
    """

    shop: Shop
    examples: pa.Table
    catalog: Catalog

    @classmethod
    def of(cls, preset: str, *, seed: int) -> "Truth":
        """Simulate a shop without dirt: what is fit to learn from is not the question here."""
        shop = simulate(replace(SHOPS[preset], dirt_rate=0.0), seed=seed)
        items = shop.items(shop.days[-1])
        columns = {
            f.name: items.column(f.name).cast(f.type)
            if f.name in items.column_names
            else pa.nulls(len(items), f.type)
            for f in ITEMS
        }
        return cls(shop, examples_of(shop), Catalog.from_table(pa.table(columns, schema=ITEMS)))

    @property
    def until(self) -> date:
        """The day that the models are asked about: the last one, whose events are not seen."""
        return self.shop.days[-1]

    @cached_property
    def is_offered_V(self) -> npt.NDArray[np.bool_]:
        """Which items can be had."""
        offered = self.shop.world.items.ids[self.shop.today(self.until).available_items]
        is_offered_V = np.zeros(len(self.catalog), dtype=bool)
        is_offered_V[self.catalog.index_of(pa.array(offered.astype(str)))] = True
        is_offered_V[:FIRST_ITEM] = False
        return is_offered_V

    def clicks_BV(self, user_ids: Sequence[str]) -> Floats:
        """The true probability that each user, looking at each item, clicks it; 0: not offered."""
        world = self.shop.world
        row_of = {str(name): row for row, name in enumerate(world.users.ids)}
        users_B1 = np.array([row_of[name] for name in user_ids])[:, None]
        item_rows = np.arange(len(world.items.ids))
        chance = click_probability(self.shop.today(self.until), users_B1, item_rows[None, :])
        at = self.catalog.index_of(pa.array(world.items.ids.astype(str)))
        clicks_BV = np.zeros((len(user_ids), len(self.catalog)))
        clicks_BV[:, at] = chance
        clicks_BV[:, ~self.is_offered_V] = 0.0
        return clicks_BV

    def people(self) -> dict[str, int]:
        """Who is no bot and has been seen → interactions before ``until``."""
        users = self.shop.world.users
        bots = set(users.ids[users.is_bot].astype(str))
        seen = pl.DataFrame(self.examples).filter(pl.col("event_date") < self.until)
        counts = seen.group_by("user_id").len().sort("user_id").iter_rows()
        return {name: count for name, count in counts if name not in bots}


def examples_of(shop: Shop) -> pa.Table:
    """What dbt's ``retrieval_examples`` has of the shop: a row a user, item and day."""
    days = []
    for day in shop.days:
        events = pl.DataFrame(shop.events(day))
        days.append(events.filter(pl.col("event_type").is_in(list(INTERACTION_WEIGHTS))))
    rows = pl.concat(days).with_columns(
        event_date=pl.col("event_timestamp").dt.date(),
        weight=pl.col("event_type").replace_strict(dict(INTERACTION_WEIGHTS)),
        is_purchase=pl.col("event_type") == EventType.PURCHASE,
    )
    examples = rows.group_by("user_id", "item_id", "event_date").agg(
        pl.col("event_timestamp").min(), pl.col("weight").max(), pl.col("is_purchase").any()
    )
    ordered = examples.sort("event_date", "user_id", "item_id").to_arrow()
    return ordered.select(RETRIEVAL_EXAMPLES.names).cast(RETRIEVAL_EXAMPLES)


def first_events(examples: pa.Table, count: int) -> pa.Table:
    """Each user's first ``count`` rows."""
    rows = pl.DataFrame(examples).sort("user_id", "event_timestamp", "item_id")
    kept = rows.filter(pl.int_range(pl.len()).over("user_id") < count)
    return kept.to_arrow().cast(RETRIEVAL_EXAMPLES)


def best_items(scores_BV: Scores, is_offered_V: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The ten offered items of each row, best first; shape [B, K]."""
    offered_BV = np.where(is_offered_V, scores_BV, -np.inf).astype(np.float32)
    # What a model has no opinion on still fills a window, behind everything it does know.
    offered_BV[:, is_offered_V] = np.maximum(offered_BV[:, is_offered_V], np.float32(-1e30))
    return top_k(offered_BV, k=POSITIONS)


def worth(clicks_BV: Floats, items_BK: npt.NDArray[np.int64], weight_K: Floats) -> Floats:
    """Each row's clicks at these items, weighted by position; shape [B]."""
    gains_BK = np.take_along_axis(clicks_BV, items_BK, axis=1)
    return np.asarray((gains_BK * weight_K).sum(axis=1))


def discounts() -> Floats:
    """NDCG's."""
    return np.asarray(1.0 / np.log2(np.arange(POSITIONS) + 2.0))


def looks(shop: Shop) -> Floats:
    """How likely a person is to look at each position."""
    return np.asarray((np.arange(POSITIONS) + 1.0) ** -shop.config.position_exponent)


@dataclass(frozen=True)
class Found:
    """One model in one shop.

    Attributes:
        share: Of the oracle's NDCG@10, over users.
        regret: Of newcomers after each of ``FIRST_EVENTS``, in clicks a window.
        fit_s: Seconds.
    """

    share: Interval
    regret: tuple[float, ...]
    fit_s: float


def judged(truth: Truth, names: Sequence[str], *, seed: int) -> tuple[dict[str, Found], float]:
    """Each model's result, and the clicks that the oracle's window gets of a newcomer."""
    people = truth.people()
    active = [name for name, count in people.items() if count >= NEWCOMER_EVENTS]
    newcomers = sorted(np.random.default_rng(seed).permutation(active)[: len(active) // 2].tolist())
    table = pl.DataFrame(truth.examples).filter(pl.col("event_date") < truth.until)
    is_new = pl.col("user_id").is_in(newcomers)
    known, new = (
        table.filter(each).to_arrow().cast(RETRIEVAL_EXAMPLES) for each in (~is_new, is_new)
    )
    asked = sorted(set(people) - set(newcomers))
    batch = user_batch_at(known, truth.catalog, until=truth.until, user_ids=asked)
    firsts = [
        user_batch_at(
            first_events(new, count), truth.catalog, until=truth.until, user_ids=newcomers
        )
        for count in FIRST_EVENTS
    ]
    exam = _Exam(truth, truth.clicks_BV(asked), batch, truth.clicks_BV(newcomers), firsts)
    text_VE = Encoder().embed_catalog(truth.catalog, Settings().cache)
    found = {RANDOM: exam.taken(_Random(seed), fit_s=0.0)}
    for name in names:
        began = time.perf_counter()
        model = retriever_class(name).fit(
            known,
            truth.catalog,
            until=truth.until,
            config=seeded(PRESETS["base"].of(name), seed),
            context=FitContext(text_VE=text_VE),
        )
        found[name] = exam.taken(model, fit_s=time.perf_counter() - began)
        logger.info("shop %d: %s %s", seed, name, found[name])
    return found, float(exam.best_of_new.mean())


class _Random:
    """Knows nothing."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def scores(self, batch: UserBatch) -> Scores:
        """Any order."""
        return self._rng.random(batch.bought_BV.shape, dtype=np.float32)


@dataclass(frozen=True)
class _Exam:
    """Who is asked about, and what each would really click."""

    truth: Truth
    clicks_BV: Floats
    batch: UserBatch
    new_clicks_BV: Floats
    firsts: Sequence[UserBatch]

    @cached_property
    def best_gain(self) -> Floats:
        """The discounted gain of the oracle's windows; shape [B]."""
        return self._best(self.clicks_BV, discounts())

    @cached_property
    def best_of_new(self) -> Floats:
        """Clicks that the oracle's windows get of the newcomers; shape [B]."""
        return self._best(self.new_clicks_BV, looks(self.truth.shop))

    def _best(self, clicks_BV: Floats, weight_K: Floats) -> Floats:
        items_BK = best_items(clicks_BV.astype(np.float32), self.truth.is_offered_V)
        return worth(clicks_BV, items_BK, weight_K)

    def taken(self, model: object, *, fit_s: float) -> Found:
        """What ``model``, anything with ``scores``, reaches."""
        scores = model.scores  # type: ignore[attr-defined]
        offered_V = self.truth.is_offered_V
        got_B = worth(self.clicks_BV, best_items(scores(self.batch), offered_V), discounts())
        share_B = got_B / self.best_gain
        look_K = looks(self.truth.shop)
        regret = tuple(
            float(
                (
                    self.best_of_new
                    - worth(self.new_clicks_BV, best_items(scores(first), offered_V), look_K)
                ).mean()
            )
            for first in self.firsts
        )
        return Found(bootstrap_interval(share_B, seed=7), regret, round(fit_s, 1))


def page(shops: Sequence[Mapping[str, Found]], best: float, *, about: str) -> list[str]:
    """All shops as Markdown, the best model first."""
    shares = {name: [shop[name].share.mean for shop in shops] for name in shops[0]}
    counts = " | ".join(str(count) for count in FIRST_EVENTS)
    lines = [
        "# How near the models come to the simulated truth",
        "",
        about,
        f"The oracle's window of ten gets {best:.3f} clicks of a newcomer.",
        "",
        f"| model | share of the oracle's NDCG@10 (least-most of the shops) | {counts} events |",
        "|---" * (2 + len(FIRST_EVENTS)) + "|",
    ]
    for name in sorted(shares, key=lambda one: -mean(shares[one])):
        each = shares[name]
        spread = f"{mean(each):.3f} ({min(each):.3f}-{max(each):.3f})"
        regrets = " | ".join(f"{value:.3f}" for value in _regret(shops, name))
        lines.append(f"| {name} | {spread} | {regrets} |")
    return [*lines, "", "![regret](simulated_truth.png)"]


def _regret(shops: Sequence[Mapping[str, Found]], name: str) -> list[float]:
    return [mean(values) for values in zip(*(shop[name].regret for shop in shops), strict=True)]


def draw(shops: Sequence[Mapping[str, Found]], best: float) -> None:
    """The regret of a newcomer's first events, a line a model."""
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name in SHOWN:
        if name in shops[0]:
            style = {"color": "#7b8794", "ls": ":"} if name == RANDOM else {}
            axes.plot(FIRST_EVENTS, _regret(shops, name), "o-", ms=4, label=name, **style)
    axes.axhline(0.0, color="#1f2933", lw=1)
    axes.set_ylim(bottom=-0.02 * best)
    axes.set_xlabel("a newcomer's interactions so far")
    axes.set_ylabel(f"clicks lost a window, of {best:.2f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2)
    FigureCanvasAgg(figure).print_png(str(RESULTS / "simulated_truth.png"))


def main() -> None:
    """Judge and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="base", choices=list(SHOPS))
    parser.add_argument("--shops", type=int, default=3)
    parser.add_argument("--model", action="append", choices=list(RETRIEVERS), default=[])
    asked = parser.parse_args()
    names = asked.model or list(RETRIEVERS)
    seeds = range(FIRST_SEED, FIRST_SEED + asked.shops)
    taken = [judged(Truth.of(asked.preset, seed=seed), names, seed=seed) for seed in seeds]
    shops, best = [found for found, _ in taken], mean(clicks for _, clicks in taken)
    about = f"Preset `{asked.preset}`, {len(shops)} shops; regret in clicks a window, of newcomers."
    result = {
        "machine": machine("numpy", "torch", "implicit"),
        "preset": asked.preset,
        "first_events": FIRST_EVENTS,
        "oracle_clicks": best,
        "shops": [
            {
                name: {"share": vars(one.share), "regret": one.regret, "fit_s": one.fit_s}
                for name, one in shop.items()
            }
            for shop in shops
        ],
    }
    keep("simulated_truth", result, page(shops, best, about=about))
    draw(shops, best)


if __name__ == "__main__":
    main()
