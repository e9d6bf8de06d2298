"""From a trained ranking transformer to a small one: a student, pruned, in 8 bits.

Bytes are in the id embeddings and milliseconds in the number of steps, so each part of this does
what the others cannot: the student has fewer steps and a narrower table, pruning takes rows out of
the table, and 8 bits take a quarter of what is left (decision 18, ``benchmarks/smaller.py``).
"""

from collections.abc import Mapping
from pathlib import Path

from models.ranking.config import SmallerConfig
from models.ranking.distill import DISTILLED, MENDED, fit_student, lesson_of, prune_and_mend
from models.ranking.lists import RankingLists
from models.ranking.train import TrainContext
from models.ranking.transformer import CandidateTransformer


def save_smaller(
    teacher: CandidateTransformer,
    train: RankingLists,
    validation: RankingLists,
    *,
    item_columns: slice,
    config: SmallerConfig,
    context: TrainContext,
    folder: Path,
) -> Mapping[str, object]:
    """Make the small transformer and write it to ``folder``; what happened, as JSON values.

    ``CandidateTransformer.load`` reads it. A killed one goes on from ``context.checkpoint``.
    """
    lesson = lesson_of(teacher, train, validation, item_columns=item_columns)
    student, learned = fit_student(teacher, lesson, config=config, context=context)
    mended = prune_and_mend(student, lesson, config=config, context=context)
    student.save_in_8_bits(folder)
    return {
        # Two trainings one after the other: one curve in the report.
        "train_loss": [*learned.train_loss, *mended.train_loss],
        "validation": [*learned.validation, *mended.validation],
        DISTILLED: learned.to_json(),
        MENDED: mended.to_json(),
    }
