"""Splits by global time: train before the cutoff, judge on [cutoff, until).

Never leave-one-out: it shows a model what other users did after the moment it is asked about.
"""

import logging
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from domain.errors import CannotJudgeError

logger = logging.getLogger(__name__)

MIN_EXAMPLES = 50
"""Fewer purchases than this in the window say nothing about a model."""


@dataclass(frozen=True)
class Split:
    """``train``: examples before ``cutoff``. ``test``: purchases in [cutoff, until)."""

    train: pa.Table
    test: pa.Table
    cutoff: date
    until: date


def split_by_time(
    examples: pa.Table, *, cutoff: date, until: date, min_examples: int = MIN_EXAMPLES
) -> Split:
    """Cut ``RETRIEVAL_EXAMPLES`` at ``cutoff``; rows on or after ``until`` are dropped.

    Args:
        examples: Any order.
        cutoff: The first day that is judged.
        until: The first day that is not.
        min_examples: How many purchases the window must hold.

    Raises:
        ValueError: If ``until`` is not after ``cutoff``.
        CannotJudgeError: If nothing lies before the cutoff, or too little in the window.
    """
    if until <= cutoff:
        raise ValueError(f"the window [{cutoff}, {until}) is empty")
    day = examples.column("event_date")
    before = pc.less(day, pa.scalar(cutoff, pa.date32()))
    inside = pc.and_(pc.invert(before), pc.less(day, pa.scalar(until, pa.date32())))
    train = examples.filter(before)
    test = examples.filter(pc.and_(inside, examples.column("is_purchase")))
    if len(train) == 0:
        raise CannotJudgeError(f"no examples before {cutoff}: nothing to train on")
    if len(test) < min_examples:
        raise CannotJudgeError(
            f"{len(test)} purchases in [{cutoff}, {until}): expected at least {min_examples}"
        )
    logger.info(
        "split at %s: %d examples before, %d purchases until %s",
        cutoff,
        len(train),
        len(test),
        until,
    )
    return Split(train, test, cutoff, until)
