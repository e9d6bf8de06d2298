"""Every model on a published set, from its raw files: one table, one protocol, settings by itself.

    python benchmarks/offline_quality.py --data FOLDER [--data …] [--model NAME …] [--seeds N]
                                         [--again | --more]

FOLDER holds ``interactions.parquet`` and ``items.parquet`` (``models.sets``); any such set will do.
Each model's settings are chosen by NDCG@10 on validation out of the grid below; the test is taken
once. Networks that foretell the next item are looked at after ``LOOK_EPOCHS`` of each setting, and
the best is trained whole. The protocol is that of ``models.trials``: leave-one-out, full ranking,
ties against the model, every user counts. Leave-one-out shows a model what others did later; a
shop's release is judged by time instead (``vitrine evaluate``).

--again takes the settings that an earlier run chose, where the table has such a row, and measures
them anew; --more keeps such rows and adds the seeds they lack. Rows of models that --model does not
name stay as an earlier run left them; each row is written as soon as it is known, and again with
each seed.

Without --data it looks for the sets beside the project and measures nothing where there are none.
Writes ``benchmarks/results/offline_quality.json``, ``.md`` and ``.png``.
"""

import argparse
import itertools
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.machine import RESULTS, keep, machine, where
from benchmarks.offline_page import draw, line_of, page
from domain.errors import BadInputError
from domain.files import exclusive
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
LOOK_EPOCHS: Final = 4
SHAPE: Final = (
    "width",
    "blocks",
    "heads",
    "dropout",
    "history_length",
    "negatives",
    "batch_targets",
)
"""What a setting named ``shape`` says in one."""

NEXT_ITEM: Final = {
    "shape": (
        (128, 1, 1, 0.5, 50, 2_048, 1_024),
        (64, 2, 1, 0.3, 200, 2_048, 1_024),
        (128, 2, 2, 0.3, 200, 0, 4_096),
    )
}
"""Wide and short, deep and long; and deep, long and against the whole catalog."""
COLD: Final = AlsConfig(power=16.0, seen_weight=0.0, alpha=40.0)
"""What the VAE and the GAN place new items in."""

GRIDS: Final[Mapping[str, tuple[str, Any, Mapping[str, tuple[Any, ...]]]]] = {
    "popularity": ("popularity", PopularityConfig(), {"window_days": (5, 50, 10_000)}),
    "content": ("content", ContentConfig(seen_weight=0.0), {"power": (0.5, 1.0, 4.0, 16.0)}),
    "factorisation": ("factorisation", FactorisationConfig(), {"ridge": (0.02, 0.1, 0.5)}),
    "bayes": (
        "bayes",
        BayesConfig(seen_weight=0.0),
        {"smoothing": (20.0, 100.0, 400.0), "power": (4.0, 16.0, 32.0)},
    ),
    "als": (
        "als",
        AlsConfig(seen_weight=0.0),
        {
            "factors": (64, 256),
            "regularization": (1.0, 20.0, 100.0),
            "alpha": (10.0, 40.0),
            "power": (1.0, 4.0, 16.0),
        },
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
    "gru": ("gru", GruConfig(loop=LONG), NEXT_ITEM),
    "gru without recurrence": (
        "gru",
        GruConfig(loop=LONG, is_recurrent=False),
        NEXT_ITEM,
    ),
    "convolution": ("convolution", ConvolutionConfig(loop=LONG), NEXT_ITEM),
    "convolution of one item": (
        "convolution",
        ConvolutionConfig(loop=LONG, kernel=1),
        NEXT_ITEM,
    ),
    "gpt2": ("gpt2", Gpt2Config(loop=LONG), NEXT_ITEM),
    "next_item": ("next_item", NextItemConfig(loop=LONG), NEXT_ITEM),
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

    def fits_of(
        self, name: str, *, seed: int = FIRST_SEED, epochs: int | None = None
    ) -> dict[str, Fit]:
        """Settings in words → how to fit with them. ``epochs``: other than the row's own."""
        retriever, base, grid = GRIDS[name]
        if epochs is not None:
            base = replace(base, loop=replace(base.loop, epochs=epochs))
        return {
            ", ".join(f"{key} {value:g}" for key, value in chosen.items()): partial(
                self._fit, retriever, seeded(replace(base, **chosen), seed)
            )
            for chosen in _choices(grid)
        }

    def looks_of(self, name: str) -> dict[str, Fit] | None:
        """The same with a short training; None where it is short as it is."""
        is_long = getattr(GRIDS[name][1], "loop", None) == LONG
        return self.fits_of(name, epochs=LOOK_EPOCHS) if is_long else None

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
        shape = chosen.pop("shape", None)
        yield chosen if shape is None else chosen | dict(zip(SHAPE, shape, strict=True))


def _say(
    stage: str, message: str, *, done: float | None = None, total: float | None = None
) -> None:
    if done is not None and "validation" in message:
        logger.info("  %s: %s", stage, message)


def judged(
    shop: Shop, names: list[str], *, seeds: int, chosen: Mapping[str, Result]
) -> Iterator[Result]:
    """Each model's result on one set as soon as it is known; then the same with more seeds.

    Args:
        shop: The set.
        names: Of the models.
        seeds: How many, of those that draw at random.
        chosen: Model → an earlier result, whose settings are taken again.
    """
    trial = Trial(shop.published)
    fitted: dict[str, list[Scorer]] = {}
    for name in names:
        fits, looks, earlier = shop.fits_of(name), shop.looks_of(name), chosen.get(name)
        if earlier and earlier.settings in fits:
            fits, looks = {earlier.settings: fits[earlier.settings]}, None
        result, scorer = trial.choose(name, fits, looks=looks)
        if earlier:
            result = replace(result, tried=max(earlier.tried, result.tried))
        yield result
        fitted[name] = [scorer]
        for longer, another in _seed_by_seed(trial, shop, result, seeds=seeds):
            fitted[name].append(another)
            yield longer
    first = {name: scorers[0] for name, scorers in fitted.items()}
    if set(COUNTED) <= set(first):
        shares = [(1.0, *rest) for rest in itertools.product(SHARES, SHARES)]
        yield trial.choose_mix(MIX, {name: first[name] for name in COUNTED}, shares)[0]
    if {"next_item", "ease", "transitions"} <= set(first):
        yield _flagship(trial, first, fitted["next_item"])


def _seed_by_seed(
    trial: Trial, shop: Shop, result: Result, *, seeds: int
) -> Iterator[tuple[Result, Scorer]]:
    """The seeds that a result lacks, one after the other: it with each, and what was fitted."""
    wanted = seeds if GRIDS[result.model][0] in SEEDED else 1
    for seed in range(FIRST_SEED + len(result.seeds), FIRST_SEED + wanted):
        scorer = trial.fitted(shop.fits_of(result.model, seed=seed)[result.settings])
        result = trial.again(result, [scorer])
        yield result, scorer


def lacking(shop: Shop, rows: Iterable[Result], *, seeds: int) -> Iterator[Result]:
    """The rows' settings with the seeds they lack, a row after each; what they had stays.

    Raises:
        BadInputError: If a row's settings are not in today's grid.
    """
    trial = Trial(shop.published)
    for row in rows:
        if row.settings not in shop.fits_of(row.model):
            raise BadInputError(f"{row.model}: the grid no longer has {row.settings!r}: --again")
        places = dict.fromkeys([*row.machine.split("; "), where()])
        on = "; ".join(filter(None, places))
        for longer, _ in _seed_by_seed(trial, shop, row, seeds=seeds):
            yield replace(longer, machine=on)


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


def main() -> None:
    """Judge and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--model", action="append", choices=list(GRIDS), default=[])
    parser.add_argument("--seeds", type=int, default=1, help="of the models that draw at random")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--again", action="store_true", help="settings as an earlier run chose")
    kept.add_argument("--more", action="store_true", help="add the seeds that rows lack")
    asked = parser.parse_args()
    folders = asked.data or [BESIDE / name for name in SETS if (BESIDE / name).exists()]
    if not folders:
        print("offline_quality: no set; name one with --data FOLDER; not measured")
        return
    names = asked.model or list(GRIDS)
    for folder in folders:
        published = read_set(folder)
        reads_texts = bool(TOLD & {GRIDS[name][0] for name in names})
        text_VE = embedded(published) if reads_texts else np.zeros((0, 0), np.float32)
        shop, rows = Shop(published, text_VE), kept_rows().get(published.name, [])
        if asked.more:
            results = lacking(shop, [row for row in rows if row.model in names], seeds=asked.seeds)
        else:
            chosen = {one.model: one for one in rows} if asked.again else {}
            results = judged(shop, names, seeds=asked.seeds, chosen=chosen)
        for result in results:
            sys.stderr.write(f"{published.name}: {line_of(result)}\n")
            note(published.name, result)


def note(published: str, result: Result) -> None:
    """Write the result among the others of its set, in place of an earlier one of its model.

    Several commands at a time may fill one table. A result that names no machine is of this one.
    """
    result = replace(result, machine=result.machine or where())
    with exclusive(Settings().cache / "offline_quality.lock"):
        rows = kept_rows()
        others = [one for one in rows.get(published, []) if one.model != result.model]
        rows[published] = sorted([*others, result], key=lambda one: one.test["ndcg_at_10"].mean)
        about = machine("numpy", "scipy", "implicit", "torch")
        sets = {name: [asdict(one) for one in each] for name, each in rows.items()}
        keep("offline_quality", {"machine": about, "sets": sets}, page(rows))
        draw(rows, RESULTS / "offline_quality.png")


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
