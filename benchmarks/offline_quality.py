"""Every model on a published set, from its raw files: one table, one protocol, settings by itself.

    python benchmarks/offline_quality.py --data FOLDER [--data …] [--model NAME …] [--seeds N]

FOLDER holds ``interactions.parquet`` and ``items.parquet`` (``models.sets``); any such set will do.
Each model's settings are chosen by NDCG@10 on validation out of the grid below; the test is taken
once. The protocol is that of ``models.trials``: leave-one-out, full ranking, ties against the
model, every user counts. Leave-one-out shows a model what others did later; a shop's release is
judged by time instead (``vitrine evaluate``).

Rows of models that --model does not name stay as an earlier run left them.

Without --data it looks for the sets beside the project and measures nothing where there are none.
Writes ``benchmarks/results/offline_quality.json`` and ``.md``.
"""

import argparse
import itertools
import json
import logging
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.machine import RESULTS, keep, machine
from domain.settings import Settings
from models.bootstrap import Interval
from models.loop_config import LoopConfig
from models.retrieval import RETRIEVERS, FitContext
from models.retrieval.base import Embeddings, Validate
from models.retrieval.config import (
    AlsConfig,
    BayesConfig,
    ContentConfig,
    ConvolutionConfig,
    EaseConfig,
    FactorisationConfig,
    GanConfig,
    Gpt2Config,
    GruConfig,
    NeighboursConfig,
    NextItemConfig,
    PopularityConfig,
    TransitionsConfig,
    VaeConfig,
    seeded,
)
from models.sets import PublishedSet, read_set
from models.text import Encoder
from models.trials import Fit, Likely, Mixed, Result, Scorer, Trial

logger = logging.getLogger(__name__)

BESIDE: Final = Path(__file__).parents[2] / "shared" / "data"
SETS: Final = ("amazon_2014_beauty", "movielens_1m")
FIRST_SEED: Final = 7
TOLD: Final = {"content", "vae", "gan", "gru", "convolution", "gpt2", "next_item"}
"""Retrievers that are given the texts, and how good they are as they learn."""
SEEDED: Final = TOLD - {"content"} | {"als", "factorisation"}

LONG: Final = LoopConfig(
    epochs=18, learning_rate=3e-3, final_rate_share=0.02, patience=0, validate_every=6
)
SHAPE: Final = ("width", "blocks", "dropout", "history_length")
"""What a setting named ``shape`` says in one."""

NEXT_ITEM: Final = {"shape": ((128, 1, 0.5, 50), (64, 2, 0.3, 200))}
COLD: Final = AlsConfig(power=1.0, seen_weight=0.0, regularization=20.0)
"""What the VAE and the GAN place new items in."""

GRIDS: Final[Mapping[str, tuple[str, Any, Mapping[str, tuple[Any, ...]]]]] = {
    "popularity": ("popularity", PopularityConfig(), {"window_days": (5, 50, 10_000)}),
    "content": ("content", ContentConfig(seen_weight=0.0), {"power": (0.5, 1.0, 4.0, 16.0)}),
    "factorisation": ("factorisation", FactorisationConfig(), {"ridge": (0.02, 0.1, 0.5)}),
    "bayes": (
        "bayes",
        BayesConfig(seen_weight=0.0),
        {"smoothing": (20.0, 100.0), "power": (1.0, 4.0, 16.0)},
    ),
    "als": (
        "als",
        AlsConfig(power=1.0, seen_weight=0.0),
        {"factors": (64, 256), "regularization": (1.0, 20.0), "alpha": (1.0, 10.0)},
    ),
    "neighbours": (
        "neighbours",
        NeighboursConfig(seen_weight=0.0),
        {"shrinkage": (0.0, 10.0, 50.0), "power": (1.0, 4.0, 16.0)},
    ),
    "ease": (
        "ease",
        EaseConfig(seen_weight=0.0),
        {"regularization": (30.0, 100.0, 300.0), "power": (1.0, 4.0, 16.0)},
    ),
    "transitions": (
        "transitions",
        TransitionsConfig(),
        {
            "distance": (1, 3, 10),
            "decay": (0.8,),
            "normalization": (0.0, 0.5, 0.8),
            "history_decay": (0.4, 0.8, 0.95),
        },
    ),
    "vae": ("vae", VaeConfig(als=COLD), {"kl_weight": (0.1, 1.0)}),
    "vae without a latent": ("vae", VaeConfig(als=COLD, latent=0), {}),
    "gan": ("gan", GanConfig(als=COLD), {"adversary_weight": (0.1, 1.0)}),
    "gan without an adversary": ("gan", GanConfig(als=COLD, adversary_weight=0.0), {}),
    "gru": ("gru", GruConfig(negatives=2_048, loop=LONG), NEXT_ITEM),
    "gru without recurrence": (
        "gru",
        GruConfig(negatives=2_048, loop=LONG, is_recurrent=False),
        NEXT_ITEM,
    ),
    "convolution": ("convolution", ConvolutionConfig(negatives=2_048, loop=LONG), NEXT_ITEM),
    "convolution of one item": (
        "convolution",
        ConvolutionConfig(negatives=2_048, loop=LONG, kernel=1),
        NEXT_ITEM,
    ),
    "gpt2": ("gpt2", Gpt2Config(negatives=2_048, loop=LONG), NEXT_ITEM),
    "next_item": ("next_item", NextItemConfig(negatives=2_048, loop=LONG), NEXT_ITEM),
}
"""Row → its retriever, what is the same in all its settings, what is tried; ages: interactions."""

SHARES: Final = (0.0, 0.1, 0.2, 0.4, 0.8)
TEMPERATURES: Final = (1.0, 2.0)
COUNTED: Final = ("ease", "transitions", "popularity")
MIX: Final = "mix of ease, transitions, popularity"
FLAGSHIP: Final = "flagship: next_item with ease and transitions"


@dataclass(frozen=True)
class Shop:
    """A set and the vectors of its items' texts."""

    published: PublishedSet
    text_VE: Embeddings

    def fits_of(self, name: str, *, seed: int = FIRST_SEED) -> dict[str, Fit]:
        """Settings in words → how to fit with them."""
        retriever, base, grid = GRIDS[name]
        return {
            ", ".join(f"{key} {value:g}" for key, value in chosen.items()): partial(
                self._fit, retriever, seeded(replace(base, **chosen), seed)
            )
            for chosen in _choices(grid)
        }

    def _fit(
        self, name: str, config: Any, examples: pa.Table, until: date, validate: Validate
    ) -> Scorer:
        fit: Callable[..., Scorer] = RETRIEVERS[name].fit  # type: ignore[attr-defined]
        given: dict[str, Any] = {}
        if name in TOLD:
            given["context"] = FitContext(self.text_VE, validate, progress=_say)
        return fit(examples, self.published.catalog, until=until, config=config, **given)


def _choices(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        yield chosen | dict(zip(SHAPE, chosen.pop("shape", ()), strict=False))


def _say(
    stage: str, message: str, *, done: float | None = None, total: float | None = None
) -> None:
    if done is not None and "validation" in message:
        logger.info("  %s: %s", stage, message)


def judged(shop: Shop, names: list[str], *, seeds: int) -> list[Result]:
    """Each model's result on one set, worst first."""
    trial, results = Trial(shop.published), []
    fitted: dict[str, list[Scorer]] = {}

    def keep_result(result: Result, scorers: list[Scorer]) -> None:
        result = trial.again(result, scorers[1:])
        fitted[result.model] = scorers
        results.append(result)
        sys.stderr.write(f"{shop.published.name}: {_line(result)}\n")

    for name in names:
        result, scorer = trial.choose(name, shop.fits_of(name))
        others = range(FIRST_SEED + 1, FIRST_SEED + (seeds if GRIDS[name][0] in SEEDED else 1))
        again = [trial.fitted(shop.fits_of(name, seed=seed)[result.settings]) for seed in others]
        keep_result(result, [scorer, *again])
    first = {name: scorers[0] for name, scorers in fitted.items()}
    if set(COUNTED) <= set(first):
        shares = [(1.0, *rest) for rest in itertools.product(SHARES, SHARES)]
        parts = {name: first[name] for name in COUNTED}
        results.append(trial.choose_mix(MIX, parts, shares)[0])
        sys.stderr.write(f"{shop.published.name}: {_line(results[-1])}\n")
    if {"next_item", "ease", "transitions"} <= set(first):
        results.append(_flagship(trial, first, fitted["next_item"]))
        sys.stderr.write(f"{shop.published.name}: {_line(results[-1])}\n")
    return sorted(results, key=lambda one: one.test["ndcg_at_10"].mean)


def _flagship(trial: Trial, first: Mapping[str, Scorer], networks: list[Scorer]) -> Result:
    """The network's likelihoods at two temperatures, and shares of what was counted."""

    def parts_of(network: Scorer) -> dict[str, Scorer]:
        likely = {f"next_item at {heat:g}": Likely(network, heat) for heat in TEMPERATURES}
        return {**likely, "transitions": first["transitions"], "ease": first["ease"]}

    heats = [tuple(float(heat == other) for other in TEMPERATURES) for heat in TEMPERATURES]
    shares = [
        (*heat, *rest) for heat, rest in itertools.product(heats, itertools.product(SHARES, SHARES))
    ]
    result, best = trial.choose_mix(FLAGSHIP, parts_of(networks[0]), shares)
    others = [
        Mixed(list(zip(parts_of(network).values(), best, strict=True))) for network in networks[1:]
    ]
    return trial.again(result, others)


def _line(result: Result) -> str:
    cells = [f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]" for one in result.test.values()]
    row = [result.model, *cells, _over_seeds(result), f"{result.validation_ndcg:.4f}"]
    row += [f"{result.fit_s:.1f}", result.settings, str(result.tried)]
    return "| " + " | ".join(row) + " |"


def _over_seeds(result: Result) -> str:
    """Mean, least and most of each metric, and how many seeds."""
    if len(result.seeds) == 1:
        return ""
    told = []
    for name in result.test:
        values = [seed[name] for seed in result.seeds]
        told.append(f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})")
    return f"{' / '.join(told)}, {len(result.seeds)} seeds"


def main() -> None:
    """Judge and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--model", action="append", choices=list(GRIDS), default=[])
    parser.add_argument("--seeds", type=int, default=1, help="of the models that draw at random")
    asked = parser.parse_args()
    folders = asked.data or [BESIDE / name for name in SETS if (BESIDE / name).exists()]
    if not folders:
        print("offline_quality: no set; name one with --data FOLDER; not measured")
        return
    names = asked.model or list(GRIDS)
    rows = kept_rows()
    for folder in folders:
        published = read_set(folder)
        reads_texts = bool(TOLD & {GRIDS[name][0] for name in names})
        text_VE = embedded(published) if reads_texts else np.zeros((0, 0), np.float32)
        results = judged(Shop(published, text_VE), names, seeds=asked.seeds)
        new = {result.model for result in results}
        others = [one for one in rows.get(published.name, []) if one.model not in new]
        rows[published.name] = sorted(
            [*results, *others], key=lambda one: one.test["ndcg_at_10"].mean
        )
        about = machine("numpy", "scipy", "implicit", "torch")
        sets = {name: [asdict(one) for one in each] for name, each in rows.items()}
        keep("offline_quality", {"machine": about, "sets": sets}, page(rows))


def page(rows: Mapping[str, list[Result]]) -> list[str]:
    """All sets as Markdown."""
    lines = ["# Offline quality on published sets", ""]
    lines += ["Leave-one-out, full ranking, every user counts; 95 % intervals over users of the"]
    lines += ["first seed; over the seeds mean (least-most) of recall@10 / NDCG@10.", ""]
    titles = ["model", "recall@10", "NDCG@10", "seeds", "validation", "fit, s", "settings", "tried"]
    for name, results in rows.items():
        lines += [f"## {name}", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        lines += [*map(_line, results), ""]
    return lines


def kept_rows() -> dict[str, list[Result]]:
    """What earlier runs found, by set."""
    path = RESULTS / "offline_quality.json"
    if not path.exists():
        return {}
    sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
    return {name: [_read(row) for row in rows] for name, rows in sets.items()}


def _read(row: dict[str, Any]) -> Result:
    test = {metric: Interval(**told) for metric, told in row["test"].items()}
    means = {metric: told.mean for metric, told in test.items()}
    return Result(**{**row, "test": test, "seeds": tuple(row.get("seeds") or (means,))})


def embedded(published: PublishedSet) -> Embeddings:
    """The vectors of the items' texts, kept between runs."""
    return Encoder().embed_catalog(published.catalog, Settings().cache)


if __name__ == "__main__":
    main()
