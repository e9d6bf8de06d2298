"""Lists of a built home to train, choose and test rankers on, by time; see ``smaller.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from benchmarks.exams import exam_of
from domain.settings import Settings
from models.data import read_training_data
from models.presets import TrainingPreset
from models.ranking.lists import RankingLists


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
    known, later = (read_training_data(of.marts, until=day) for day in (until, end))
    exam, text_VE = exam_of(of, known, later, preset=preset, folder=work, end=end)
    test = {task: lists.with_a_label() for task, lists in exam.test.items()}
    return World(text_VE, exam.train, exam.validation, test)


def default_until(end: date) -> date:
    """The last four weeks are the test."""
    return end - timedelta(days=28)
