"""Ranking lists of a built home, by time, for benchmarks that train rankers."""

from datetime import date
from functools import partial
from pathlib import Path

from domain.settings import Settings
from features.history import point_in_time
from features.store import apply
from models.catalog import Catalog
from models.data import TrainingData
from models.presets import TrainingPreset
from models.ranking.exam import Exam, prepare_exam
from models.retrieval.base import Embeddings
from models.text import Encoder


def exam_of(
    of: Settings,
    known: TrainingData,
    later: TrainingData,
    *,
    preset: TrainingPreset,
    folder: Path,
    end: date | None = None,
) -> tuple[Exam, Embeddings]:
    """``models.ranking.exam.prepare_exam`` with a home's features, and the texts of its items."""
    apply(of)
    text_VE = Encoder(of.encoder).embed_catalog(Catalog.from_table(known.items), of.cache)
    exam = prepare_exam(
        known,
        later,
        text_VE=text_VE,
        preset=preset,
        folder=folder,
        join=partial(point_in_time, of),
        end=end,
    )
    return exam, text_VE
