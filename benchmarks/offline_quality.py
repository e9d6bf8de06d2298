"""Every model on a published set, from its raw files: one table, one protocol, settings by itself.

    python benchmarks/offline_quality.py --data FOLDER [--data …] [--model NAME …]

FOLDER holds ``interactions.parquet`` and ``items.parquet`` (``models.sets``); any such set will do.
Each model's settings are chosen by NDCG@10 on validation out of the grid below; the test is taken
once. The protocol is that of ``models.trials``: leave-one-out, full ranking, ties against the
model, every user counts. Leave-one-out shows a model what others did later; a shop's release is
judged by time instead (``vitrine evaluate``).

Without --data it looks for the sets beside the project and measures nothing where there are none.
Writes ``benchmarks/results/offline_quality.json`` and ``.md``.
"""

import argparse
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from machine import keep, machine

from models.catalog import Catalog
from models.retrieval import RETRIEVERS
from models.retrieval.config import (
    AlsConfig,
    EaseConfig,
    NeighboursConfig,
    PopularityConfig,
    TransitionsConfig,
)
from models.sets import PublishedSet, read_set
from models.trials import Fit, Mixed, Result, Scorer, Trial

BESIDE: Final = Path(__file__).parents[2] / "shared" / "data"
SETS: Final = ("amazon_2014_beauty", "movielens_1m")

GRIDS: Final[Mapping[str, tuple[Any, Mapping[str, tuple[Any, ...]]]]] = {
    "popularity": (PopularityConfig(), {"window_days": (5, 50, 10_000)}),
    "als": (
        AlsConfig(power=1.0, seen_weight=0.0),
        {"factors": (64, 256), "regularization": (1.0, 20.0), "alpha": (1.0, 10.0)},
    ),
    "neighbours": (
        NeighboursConfig(seen_weight=0.0),
        {"shrinkage": (0.0, 10.0, 50.0), "power": (1.0, 4.0, 16.0)},
    ),
    "ease": (
        EaseConfig(seen_weight=0.0),
        {"regularization": (30.0, 100.0, 300.0), "power": (1.0, 4.0, 16.0)},
    ),
    "transitions": (
        TransitionsConfig(),
        {
            "distance": (1, 3, 10),
            "decay": (0.8,),
            "normalization": (0.0, 0.5, 0.8),
            "history_decay": (0.4, 0.8, 0.95),
        },
    ),
}
"""Model → what is the same in all of its settings, and what is tried; ages are interactions."""

SHARES: Final = (0.0, 0.25, 0.5, 1.0)
MIX: Final = "mix of ease, transitions, popularity"


def fits_of(name: str, catalog: Catalog) -> dict[str, Fit]:
    """Settings in words → how to fit with them."""
    base, grid = GRIDS[name]
    return {
        ", ".join(f"{key} {value:g}" for key, value in chosen.items()): partial(
            _fit, name, catalog, replace(base, **chosen)
        )
        for chosen in _choices(grid)
    }


def _choices(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _fit(name: str, catalog: Catalog, config: Any, examples: pa.Table, until: date) -> Scorer:
    fit: Callable[..., Scorer] = RETRIEVERS[name].fit  # type: ignore[attr-defined]
    return fit(examples, catalog, until=until, config=config)


def mixes(fitted: Mapping[str, Scorer]) -> dict[str, Fit]:
    """Ease plus shares of the other two, all fitted before."""
    shares = itertools.product(SHARES, SHARES)
    return {
        f"ease + {moved:g} transitions + {popular:g} popularity": partial(
            _mixed,
            [
                (fitted["ease"], 1.0),
                (fitted["transitions"], moved),
                (fitted["popularity"], popular),
            ],
        )
        for moved, popular in shares
    }


def _mixed(parts: list[tuple[Scorer, float]], _examples: pa.Table, _until: date) -> Scorer:
    return Mixed(parts)


def judged(published: PublishedSet, names: list[str]) -> list[Result]:
    """Each model's result on one set, worst first."""
    trial, results, fitted = Trial(published), [], {}
    for name in names:
        result, fitted[name] = trial.choose(name, fits_of(name, published.catalog))
        results.append(result)
        sys.stderr.write(f"{published.name}: {_line(result)}\n")
    if {"ease", "transitions", "popularity"} <= set(fitted):
        result, _ = trial.choose(MIX, mixes(fitted))
        results.append(result)
        sys.stderr.write(f"{published.name}: {_line(result)}\n")
    return sorted(results, key=lambda one: one.test["ndcg_at_10"].mean)


def _line(result: Result) -> str:
    cells = [f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]" for one in result.test.values()]
    row = [result.model, *cells, f"{result.validation_ndcg:.4f}", f"{result.fit_s:.1f}"]
    return "| " + " | ".join([*row, result.settings, str(result.tried)]) + " |"


def main() -> None:
    """Judge and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--model", action="append", choices=list(GRIDS), default=[])
    asked = parser.parse_args()
    folders = asked.data or [BESIDE / name for name in SETS if (BESIDE / name).exists()]
    if not folders:
        print("offline_quality: no set; name one with --data FOLDER; not measured")
        return
    names = asked.model or list(GRIDS)
    found, lines = {}, ["# Offline quality on published sets", ""]
    lines += ["Leave-one-out, full ranking, every user counts; 95 % intervals over users.", ""]
    for folder in folders:
        published = read_set(folder)
        results = judged(published, names)
        found[published.name] = [asdict(one) for one in results]
        lines += [f"## {published.name}", ""]
        lines += ["| model | recall@10 | NDCG@10 | validation | fit, s | settings | tried |"]
        lines += ["|---|---|---|---|---|---|---|", *map(_line, results), ""]
    result = {"machine": machine("numpy", "scipy", "implicit"), "sets": found}
    keep("offline_quality", result, lines)


if __name__ == "__main__":
    main()
