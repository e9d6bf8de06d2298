"""Ranking lists in three times, one after the other: to learn from, to calibrate on, to be judged.

    ── retrieval is fitted ──┤ train │ train │ validation │ test │
                                                          ^ cutoff

A release's training ends with validation, and ``models.judging`` then ranks the whole catalog.
Where rankers are to be compared candidate by candidate, the test needs lists as well: they are made
as the others are, at the cutoff, from what was known then. Only their labels come later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from domain.progress import silent
from models.catalog import Catalog
from models.data import TrainingData
from models.loop import ProgressCall
from models.presets import TrainingPreset
from models.ranking.examples import TASKS
from models.ranking.lists import RankingLists, concatenate
from models.ranking.prepare import (
    Join,
    Preparation,
    fit_early_sources,
    join_features,
    make_window_lists,
    to_learn_from,
)
from models.ranking.windows import Window, WindowConfig, Windows, plan_windows
from models.stages import Stages


@dataclass(frozen=True)
class Exam:
    """``train``: thinned, both tasks; ``validation`` and ``test``: whole, by task."""

    train: RankingLists
    validation: Mapping[str, RankingLists]
    test: Mapping[str, RankingLists]


def plan_exam(
    *, first_day: date, cutoff: date, config: WindowConfig, end: date | None = None
) -> Windows:
    """The windows of a release with this cutoff, validation the last of ``train``; then the test.

    Args:
        first_day: The first day with an example.
        cutoff: The test's first day.
        config: As for ``plan_windows``.
        end: The first day after the test; None makes it as long as the validation window.

    Raises:
        CannotJudgeError: If there is no room for two windows before the cutoff.

    Example:
        >>> plan = plan_exam(
        ...     first_day=date(2026, 1, 1), cutoff=date(2026, 2, 10), config=WindowConfig(10, 1)
        ... )
        >>> [str(window.start) for window in (*plan.train, plan.validation)]
        ['2026-01-21', '2026-01-31', '2026-02-10']
    """
    before = plan_windows(first_day=first_day, until=cutoff, config=config)
    days = before.validation.end - before.validation.start
    return Windows((*before.train, before.validation), Window(cutoff, end or cutoff + days))


def prepare_exam(
    known: TrainingData,
    later: TrainingData,
    *,
    text_VE: npt.NDArray[np.float32],
    preset: TrainingPreset,
    folder: Path,
    join: Join,
    end: date | None = None,
    progress: ProgressCall = silent,
) -> Exam:
    """Make the lists into ``folder``, in steps that are done once; read them.

    Args:
        known: Everything before the cutoff; its items are the catalog.
        later: Everything up to the end of the test, ``known`` included.
        text_VE: Text embeddings of the catalog of ``known``.
        preset: How candidates are made, and how many of them.
        folder: Of these data and this preset alone.
        join: Feast's point-in-time join.
        end: As for ``plan_exam``.
        progress: Told where the work is.
    """
    windows = plan_exam(
        first_day=known.first_day, cutoff=known.until, config=preset.windows, end=end
    )
    work = Preparation(
        replace(later, items=known.items),
        Catalog.from_table(known.items),
        text_VE,
        windows,
        preset,
        folder,
        progress,
    )
    stages = Stages(folder, progress=progress, total=3)
    stages.run("features", lambda: join_features(work, join))
    stages.run("early_retrieval", lambda: fit_early_sources(work))
    stages.run("lists", lambda: _make_lists(work))
    validation, test = (
        {task: RankingLists.load(folder / f"{name}-{task}.lists") for task in TASKS}
        for name in ("validation", "test")
    )
    return Exam(RankingLists.load(folder / "train.lists"), validation, test)


def _make_lists(work: Preparation) -> Mapping[str, object]:
    *learned, validation = work.windows.train
    parts = [
        to_learn_from(lists, window, work.preset)
        for window in learned
        for lists in make_window_lists(work, window).values()
    ]
    whole = concatenate(parts)
    whole.save(work.folder / "train.lists")
    rows = {"train": len(whole)}
    for name, window in (("validation", validation), ("test", work.windows.validation)):
        for task, lists in make_window_lists(work, window).items():
            lists.save(work.folder / f"{name}-{task}.lists")
            rows[f"{name}_{task}"] = len(lists)
    return rows
