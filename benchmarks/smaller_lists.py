"""Lists of a built home to train, choose and test rankers on, by time; see ``smaller.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from domain.settings import Settings
from features.history import point_in_time
from models.catalog import Catalog
from models.data import read_training_data
from models.presets import TrainingPreset
from models.ranking.exam import prepare_exam
from models.ranking.lists import RankingLists
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
    known = read_training_data(of.marts, until=until)
    text_VE = Encoder(of.encoder).embed_catalog(Catalog.from_table(known.items), of.cache)
    exam = prepare_exam(
        known,
        read_training_data(of.marts, until=end),
        text_VE=text_VE,
        preset=preset,
        folder=work,
        join=partial(point_in_time, of),
        end=end,
    )
    test = {task: lists.with_a_label() for task, lists in exam.test.items()}
    return World(text_VE, exam.train, exam.validation, test)


def default_until(end: date) -> date:
    """The last four weeks are the test."""
    return end - timedelta(days=28)
