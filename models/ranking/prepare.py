"""Everything the rankers learn from, made in resumable steps: features, early retrieval, lists.

At each window's snapshot the candidates come from sources that know nothing of that day or later.
The sequence model is fitted once, before the first snapshot; the cheap sources are fitted anew at
each, because what is popular does not keep.
"""

# L lists, V catalog, E text embedding

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.clock import midnight
from domain.files import replacing_file
from domain.schemas import TIMESTAMP
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.data import TrainingData
from models.loop import ProgressCall
from models.presets import TrainingPreset
from models.ranking.examples import TASKS, WindowEvents, events_in, make_lists
from models.ranking.features import Assembler
from models.ranking.items import ItemMatrix
from models.ranking.lists import RankingLists, concatenate
from models.ranking.windows import Window, Windows
from models.retrieval import FitContext, Retriever, retriever_class

logger = logging.getLogger(__name__)

Join = Callable[..., pa.Table]
"""``join(entities, service=…)``: ``features.history.point_in_time`` with the settings bound."""

FITTED_ONCE: Final = frozenset({"sequence"})
"""Too slow to fit at every snapshot."""


@dataclass(frozen=True)
class Preparation:
    """What the steps share.

    Attributes:
        data: Everything before the cutoff.
        catalog: All items of the run.
        text_VE: Their text embeddings.
        windows: Which days are learned from.
        preset: The configuration.
        folder: Where the steps keep their files.
        progress: Told where fitting is.
    """

    data: TrainingData
    catalog: Catalog
    text_VE: npt.NDArray[np.float32]
    windows: Windows
    preset: TrainingPreset
    folder: Path
    progress: ProgressCall

    @property
    def all_windows(self) -> tuple[Window, ...]:
        """Training windows, oldest first, then validation."""
        return (*self.windows.train, self.windows.validation)

    def events(self, window: Window) -> WindowEvents:
        """The window's labels, of at most ``max_lists`` users (a seeded choice)."""
        events = events_in(
            window,
            interactions=self.data.interactions,
            shown=self.data.shown,
            catalog=self.catalog,
        )
        count, most = len(events.user_ids), self.preset.max_lists
        if count <= most:
            return events
        generator = np.random.default_rng([self.preset.seed, window.start.toordinal()])
        return events.take(np.sort(generator.choice(count, size=most, replace=False)))


def join_features(work: Preparation, join: Join) -> Mapping[str, object]:
    """Read users' and items' features at every snapshot, point in time, and keep them."""
    starts = [window.start for window in work.all_windows]
    users = [pa.array(work.events(window).user_ids, pa.string()) for window in work.all_windows]
    items = [pa.array(work.catalog.item_ids[FIRST_ITEM:], pa.string())] * len(starts)
    rows = {}
    for name, entity, wanted in (("users", "user_id", users), ("items", "item_id", items)):
        joined = join(_entities(entity, starts, wanted), service="ranking")
        with replacing_file(work.folder / f"{name}.parquet") as aside:
            pq.write_table(joined, aside)
        rows[f"{name}_joined"] = len(joined)
    return rows


def fit_early_sources(work: Preparation) -> Mapping[str, object]:
    """Fit every source at every snapshot (slow ones at the first only)."""
    for window in work.all_windows:
        for name in work.preset.sources:
            folder = _source_folder(work, name, window.start)
            if folder.exists():
                continue
            fitted = fit_source(
                name,
                work.data.interactions,
                work.catalog,
                until=window.start,
                config=work.preset.retrieval.of(name),
                context=FitContext(
                    text_VE=work.text_VE,
                    checkpoint=work.folder / f"{name}-{window.start}.checkpoint",
                    progress=work.progress,
                ),
            )
            fitted.save(folder)
    return {"snapshots": [str(window.start) for window in work.all_windows]}


def fit_source(
    name: str,
    interactions: pa.Table,
    catalog: Catalog,
    *,
    until: date,
    config: object,
    context: FitContext,
) -> Retriever:
    """Fit one source on the interactions before ``until``."""
    before = pc.less(interactions.column("event_date"), pa.scalar(until, pa.date32()))
    return retriever_class(name).fit(
        interactions.filter(before), catalog, until=until, config=config, context=context
    )


def make_all_lists(work: Preparation) -> Mapping[str, object]:
    """Make and keep the lists: ``train`` (thinned, both tasks) and one validation set a task."""
    train: list[RankingLists] = []
    rows: dict[str, object] = {}
    for window in work.all_windows:
        for task, lists in make_window_lists(work, window).items():
            if window is work.windows.validation:
                lists.save(work.folder / f"validation-{task}.lists")
                rows[f"validation_lists_{task}"] = len(lists)
            else:
                train.append(to_learn_from(lists, window, work.preset))
    whole = concatenate(train)
    whole.save(work.folder / "train.lists")
    return {**rows, "train_lists": len(whole), "train_candidates": int(whole.mask_LC.sum())}


def make_window_lists(work: Preparation, window: Window) -> Mapping[str, RankingLists]:
    """One window's lists by task, whole; ``join_features`` and ``fit_early_sources`` came before.

    Args:
        work: What the steps share.
        window: One of ``work.all_windows``.
    """
    users = pq.read_table(work.folder / "users.parquet")
    items = pq.read_table(work.folder / "items.parquet")
    moment, events = midnight(window.start), work.events(window)
    lists_of = partial(
        make_lists,
        UserBatch.from_table(_at(users, window.start), work.catalog, now=moment),
        events,
        retrievers=_load_sources(work, window.start),
        assembler=Assembler(work.catalog, work.text_VE),
        items=ItemMatrix.from_table(_at(items, window.start), work.catalog, moment),
        allowed_V=work.catalog.available(window.start),
        per_source=work.preset.per_source,
    )
    return {task: lists_of(task=task) for task in TASKS}


def to_learn_from(lists: RankingLists, window: Window, preset: TrainingPreset) -> RankingLists:
    """What of a window's lists is trained on: those with a label, thinned by a seeded choice."""
    seed = preset.seed + window.start.toordinal()
    return lists.with_a_label().thinned(length=preset.list_length, seed=seed)


def read_lists(work: Preparation) -> tuple[RankingLists, Mapping[str, RankingLists]]:
    """The training lists, and the validation lists by task."""
    return (
        RankingLists.load(work.folder / "train.lists"),
        {task: RankingLists.load(work.folder / f"validation-{task}.lists") for task in TASKS},
    )


def _entities(entity: str, days: Sequence[date], wanted: Sequence[pa.Array]) -> pa.Table:
    parts = [
        pa.table({entity: ids, "event_timestamp": pa.array([midnight(day)] * len(ids), TIMESTAMP)})
        for day, ids in zip(days, wanted, strict=True)
    ]
    return pa.concat_tables(parts)


def _at(table: pa.Table, day: date) -> pa.Table:
    return table.filter(
        pc.equal(table.column("event_timestamp"), pa.scalar(midnight(day), TIMESTAMP))
    )


def _source_folder(work: Preparation, name: str, snapshot: date) -> Path:
    when = work.windows.first_snapshot if name in FITTED_ONCE else snapshot
    return work.folder / "retrieval" / str(when) / name


def _load_sources(work: Preparation, snapshot: date) -> dict[str, Retriever]:
    return {
        name: retriever_class(name).load(_source_folder(work, name, snapshot))
        for name in work.preset.sources
    }
