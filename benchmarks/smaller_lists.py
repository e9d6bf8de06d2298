"""Lists of a built home to train, choose and test rankers on, by time; see ``smaller.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from domain.progress import silent
from domain.settings import Settings
from features.history import point_in_time
from models.catalog import Catalog
from models.data import TrainingData, read_training_data
from models.presets import TrainingPreset
from models.ranking.examples import TASKS
from models.ranking.lists import RankingLists
from models.ranking.prepare import (
    Preparation,
    fit_early_sources,
    join_features,
    make_all_lists,
    read_lists,
)
from models.ranking.windows import Window, Windows, plan_windows
from models.text import Encoder


@dataclass(frozen=True)
class World:
    """What rankers are trained and tested on; ``validation`` and ``test`` by task."""

    text_VE: np.ndarray
    train: RankingLists
    validation: Mapping[str, RankingLists]
    test: Mapping[str, RankingLists]


def read_world(
    of: Settings, work: Path, *, preset: TrainingPreset, until: date, end: date
) -> World:
    """Make the lists, or read them from ``work`` where an earlier call left them.

    Training and validation windows end at ``until``; the test window is [until, end), its users
    with a purchase or click in it, its sources and features as of ``until``.
    """
    work.mkdir(parents=True, exist_ok=True)
    text_file = work / "text.safetensors"
    if not all(_test_file(work, task).exists() for task in TASKS):
        _make(of, work, preset=preset, until=until, end=end)
    train = RankingLists.load(work / "train.lists")
    return World(
        load_file(text_file)["text_VE"],
        train,
        {task: RankingLists.load(work / f"validation-{task}.lists") for task in TASKS},
        {task: RankingLists.load(_test_file(work, task)) for task in TASKS},
    )


def _make(of: Settings, work: Path, *, preset: TrainingPreset, until: date, end: date) -> None:
    known = read_training_data(of.marts, until=until)
    later = read_training_data(of.marts, until=end)
    catalog = Catalog.from_table(known.items)
    text_VE = Encoder(of.encoder).embed_catalog(catalog, of.cache)
    save_file({"text_VE": text_VE}, work / "text.safetensors")
    # Each source is fitted on what was before its window; only the test's labels are later.
    data = TrainingData(end, later.interactions, later.shown, known.items)
    windows = plan_windows(first_day=known.first_day, until=until, config=preset.windows)
    asked = Preparation(data, catalog, text_VE, windows, preset, work, silent)
    # The same steps with the test window in validation's place; then those that are to stay.
    tested = Windows(windows.train[:1], Window(until, end))
    _lists_of(replace(asked, windows=tested), of)
    for task, lists in read_lists(replace(asked, windows=tested))[1].items():
        lists.save(work / f"unlabeled-{task}.lists")
    _lists_of(asked, of)
    for task in TASKS:
        RankingLists.load(work / f"unlabeled-{task}.lists").with_a_label().save(
            _test_file(work, task)
        )


def _lists_of(work: Preparation, of: Settings) -> None:
    join_features(work, partial(point_in_time, of))
    fit_early_sources(work)
    make_all_lists(work)


def _test_file(work: Path, task: str) -> Path:
    return work / f"test-{task}.lists"


def default_until(end: date) -> date:
    """The last four weeks are the test."""
    return end - timedelta(days=28)
