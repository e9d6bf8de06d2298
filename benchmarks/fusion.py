"""Does ``r = α·r1 + (1 − α)·r2`` beat its parts? A table often copied, measured on a real shop.

    python -m benchmarks.fusion [--home FOLDER] [--seeds 10] [--lists N] [--until YYYY-MM-DD]

The table (accuracy, recall, F1 of a "DNN", a "Transformer" and their fusion) came without data, and
its α was never trained. Here: a built home of a shop; per seed both rankers are trained on the
train windows' lists, calibrated and fused on the validation window's (as a release is), and judged
on the test window's, which begins at the cutoff. All three say yes from the log-odds on that are
best for F1 on validation. Controls: α left at 0.5, and each ranker fused with the same one of
another seed, so that a gain by averaging two networks is not taken for one by having two kinds.

Lists and raw scores are kept in ``<home>/cache/fusion``, so a second run only judges again; what is
retrieved, and so the lists, is of one seed. Without --until the test is the shop's last days.

Writes ``benchmarks/results/fusion.json``, ``.md`` and ``.png``.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from benchmarks.fusion_judged import PARTS, Raw, judged
from benchmarks.fusion_page import draw, page
from benchmarks.homes import settings_of
from benchmarks.machine import RESULTS, keep, machine
from domain.files import replacing_file
from domain.settings import Settings
from models.device import training_threads
from models.presets import TrainingPreset, preset_of, run_name
from models.ranking.exam import Exam, plan_exam
from models.ranking.features import feature_names, item_slice
from models.ranking.judge import score_lists
from models.ranking.lists import RankingLists, concatenate
from models.ranking.train import TrainContext, fit_dnn, fit_transformer
from models.ranking.windows import Window

FIRST_SEED: Final = 7


def train_both(
    exam: Exam, *, seed: int, preset: TrainingPreset, text_VE: npt.NDArray[np.float32]
) -> dict[str, Raw]:
    """Train both rankers as a release does, every random choice of theirs by ``seed``; score."""
    validation, context = concatenate(list(exam.validation.values())), TrainContext(seed=seed)
    columns = item_slice(preset.sources)
    network, _ = fit_dnn(
        exam.train,
        validation,
        feature_names=feature_names(preset.sources),
        config=replace(preset.dnn, loop=replace(preset.dnn.loop, seed=seed)),
        context=context,
    )
    attention, _ = fit_transformer(
        exam.train,
        validation,
        text_VE=text_VE,
        item_columns=columns,
        config=replace(preset.transformer, loop=replace(preset.transformer.loop, seed=seed)),
        context=context,
    )
    sets = {"validation": exam.validation, "test": exam.test}
    of_task = {(name, task): each for name, by in sets.items() for task, each in by.items()}
    return {
        "dnn": {of: score_lists(network, lists) for of, lists in of_task.items()},
        "transformer": {
            of: score_lists(attention, lists, item_columns=columns) for of, lists in of_task.items()
        },
    }


def kept_scores(path: Path, make: Callable[[], dict[str, Raw]]) -> dict[str, Raw]:
    """Read the raw scores of one seed, else make and keep them; padding gets 0."""
    if not path.exists():
        tensors = {
            f"{part}/{name}/{task}": np.where(np.isfinite(scores), scores, np.float32(0.0))
            for part, raw in make().items()
            for (name, task), scores in raw.items()
        }
        with replacing_file(path) as aside:
            save_file(tensors, aside)
    keys = [(key.split("/"), scores) for key, scores in load_file(path).items()]
    return {
        part: {(name, task): scores for (whose, name, task), scores in keys if whose == part}
        for part in PARTS
    }


def measure(
    settings: Settings, *, until: date | None, seeds: int, most: int | None
) -> dict[str, Any]:
    """Prepare, train with each seed on ``most`` lists (None: all), judge on all of the test."""
    preset = preset_of(settings.preset)
    exam, windows, text_VE, folder = _prepared(settings, preset, until)
    all_lists = len(exam.train)
    exam = replace(exam, train=some_of(exam.train, most or all_lists))
    raw = {}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        make = partial(train_both, exam, seed=seed, preset=preset, text_VE=text_VE)
        raw[seed] = kept_scores(folder / f"scores-{len(exam.train)}-{seed}.safetensors", make)
        sys.stderr.write(f"seed {seed}: trained and scored\n")
    return {
        "source": settings.source.value,
        "preset": settings.preset,
        "most_users_of_a_window": preset.max_lists,
        "windows": [[str(each.start), str(each.end)] for each in windows],
        "train_lists": len(exam.train),
        "train_lists_there_are": all_lists,
        "train_candidates": int(exam.train.mask_LC.sum()),
        "seeds": list(raw),
        "config": {"dnn": asdict(preset.dnn), "transformer": asdict(preset.transformer)},
        **judged(exam, raw),
    }


def some_of(lists: RankingLists, most: int) -> RankingLists:
    """At most so many lists, the same for every seed; all of them if there are no more."""
    if most >= len(lists):
        return lists
    drawn = np.random.default_rng(FIRST_SEED).choice(len(lists), size=most, replace=False)
    return lists.take(np.sort(drawn))


def _prepared(
    settings: Settings, preset: TrainingPreset, until: date | None
) -> tuple[Exam, tuple[Window, ...], npt.NDArray[np.float32], Path]:
    """The lists, their windows, the items' texts, and where all that is kept."""
    from benchmarks.exams import exam_of
    from models.data import read_training_data
    from warehouse.plan import published_days

    after = max(published_days(settings)) + timedelta(days=1)
    cutoff = until or after - timedelta(days=preset.windows.days)
    known = read_training_data(settings.marts, until=cutoff)
    plan = plan_exam(first_day=known.first_day, cutoff=cutoff, config=preset.windows)
    if plan.validation.end > after:
        raise SystemExit(f"fusion: the test ends on {plan.validation.end}, the shop before {after}")
    later = read_training_data(settings.marts, until=plan.validation.end)
    name = run_name(preset, name=settings.preset, until=cutoff, data_hash=later.hash())
    folder = settings.cache / "fusion" / name
    exam, text_VE = exam_of(settings, known, later, preset=preset, folder=folder)
    return exam, (*plan.train, plan.validation), text_VE, folder


def main() -> None:
    """Measure and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Settings().root)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--lists", type=int, help="trained on, at most; default: all")
    parser.add_argument("--until", type=date.fromisoformat, help="the test's first day")
    asked = parser.parse_args()
    if asked.seeds < 2:
        parser.error("an interval over seeds needs at least two of them")
    if not (asked.home / "marts").exists():
        print(
            f"fusion: no built shop in {asked.home}; first run "
            "make run SOURCE=online_retail DATA=FOLDER ONCE=1; not measured"
        )
        return
    settings = settings_of(asked.home)
    with training_threads(settings.train_threads) as threads:
        result = measure(settings, until=asked.until, seeds=asked.seeds, most=asked.lists)
    about = machine("torch", "numpy", "scipy", "feast") | {"threads": threads}
    given = {"seeds": asked.seeds, "lists": asked.lists, "until": asked.until}
    told = [f"--{name} {value}" for name, value in given.items() if value is not None]
    command = " ".join(["python -m benchmarks.fusion", *told])
    result = {"benchmark": "fusion", "command": command, "machine": about, **result}
    keep("fusion", result, page(result))
    draw(result, RESULTS / "fusion.png")


if __name__ == "__main__":
    main()
