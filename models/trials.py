"""A model's settings chosen on validation, then judged on the test interaction: leave-one-out.

The protocol of the published tables, without their liberties: every user counts, full ranking over
all items that the user has not had, ties against the model, and a test item that training never saw
is a miss. What is learned, is learned from what precedes the validation interaction, as in those
tables; at the test the user is known up to and with the validation interaction.
"""

# B users, V catalog

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.batch import UserBatch
from models.bootstrap import Interval, bootstrap_interval
from models.evaluate import ScoresFunction, Task, judge, make_task
from models.histories import user_batch_at
from models.retrieval.base import Scores, Validate
from models.sets import PublishedSet
from models.splits import Split, split_by_time

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
HISTORY_LENGTH: Final = 200
"""Interactions of a user that a model may look at: as many as the published ones do."""
MIX_USERS: Final = 3_000
"""Users of validation by whom the shares of a mix are chosen: their scores stay in memory."""
METRICS: Final = ("recall_at_10", "ndcg_at_10")


class Scorer(Protocol):
    """What is judged."""

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item for every user of the batch."""


Fit = Callable[[pa.Table, date, Validate], Scorer]
"""Learn from examples, all before the day; who learns step by step is told how good it is."""


@dataclass(frozen=True)
class Exam:
    """One interaction of each user that is to be foretold.

    Attributes:
        task: Whom it asks and what is right.
        batch: The users as they were.
        user_count: All users of the set: who cannot be asked counts as missed.
    """

    task: Task
    batch: UserBatch
    user_count: int

    def sample(self, count: int, *, seed: int = 7) -> "Exam":
        """The same exam for some of the users; all of them if there are no more."""
        if count >= len(self.batch):
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self.batch))[:count])
        task = replace(
            self.task,
            user_ids=self.task.user_ids[rows],
            relevant_BV=self.task.relevant_BV[rows],
            hidden_BV=self.task.hidden_BV[rows],
            slices={},
        )
        asked = round(self.user_count * count / len(self.batch))
        return Exam(task, self.batch.take(rows), user_count=max(asked, count))

    def take(self, scores: ScoresFunction) -> Mapping[str, Floats]:
        """Metric → one number a user of the set; shape [user_count]."""
        judged = judge(scores, self.batch, self.task, model="").per_user
        missed = np.zeros(self.user_count - len(judged))
        return {name: np.concatenate([judged.column(name).to_numpy(), missed]) for name in METRICS}


@dataclass(frozen=True)
class Result:
    """How one model did.

    Attributes:
        model: Its name.
        settings: What was chosen.
        tried: Out of how many.
        validation_ndcg: What it was chosen by.
        fit_s: Seconds that fitting it took.
        test: Metric → mean and interval over users, of the first seed.
        seeds: Metric → mean, of each seed, the first included.
        machine: On what it was fitted.
    """

    model: str
    settings: str
    tried: int
    validation_ndcg: float
    fit_s: float
    test: Mapping[str, Interval] = field(default_factory=dict)
    seeds: Sequence[Mapping[str, float]] = ()
    machine: str = ""


class Trial:
    """One set, its two exams, and what they may be prepared with."""

    def __init__(self, published: PublishedSet) -> None:
        self.published = published
        self.until = published.validation_day
        validation, test = (
            split_by_time(published.examples, cutoff=day, until=day + timedelta(days=1))
            for day in (published.validation_day, published.test_day)
        )
        self.train = validation.train
        self.validation, self.test = self._exam(validation), self._exam(test)

    def _exam(self, split: Split) -> Exam:
        catalog, day = self.published.catalog, split.cutoff
        task = make_task("new", split, catalog)
        batch = user_batch_at(
            split.train,
            catalog,
            until=day,
            user_ids=list(task.user_ids),
            history_length=HISTORY_LENGTH,
        )
        return Exam(task, batch, user_count=len(split.test))

    def validated(self, scores: ScoresFunction) -> float:
        """NDCG@10 on validation."""
        return float(self.validation.take(scores)["ndcg_at_10"].mean())

    def choose(
        self, model: str, fits: Mapping[str, Fit], *, looks: Mapping[str, Fit] | None = None
    ) -> tuple[Result, Scorer]:
        """Fit with each settings, keep the best on validation, and take the test once.

        Args:
            model: Its name in the table.
            fits: Settings, as a reader would write them → how to fit with them.
            looks: The same settings, fitted for a shorter while: then only the best of these is
                fitted whole.
        """
        tried = len(fits)
        if looks is not None and tried > 1:
            settings = self._best(f"{model}, a look,", looks)[1]
            fits = {settings: fits[settings]}
        ndcg, settings, seconds, scorer = self._best(model, fits)
        return self.tested(Result(model, settings, tried, ndcg, seconds), scorer), scorer

    def _best(self, model: str, fits: Mapping[str, Fit]) -> tuple[float, str, float, Scorer]:
        """Validation NDCG@10, settings, seconds of fitting, and what was fitted."""
        best: tuple[float, str, float, Scorer] | None = None
        for settings, fit in fits.items():
            began = time.perf_counter()
            scorer = self.fitted(fit)
            seconds = time.perf_counter() - began
            ndcg = self.validated(scorer.scores)
            logger.info("%s %s: validation NDCG@10 %.4f (%.1f s)", model, settings, ndcg, seconds)
            if best is None or ndcg > best[0]:
                best = (ndcg, settings, seconds, scorer)
        if best is None:
            raise ValueError(f"{model}: no settings to choose from")
        return best

    def choose_mix(
        self, model: str, parts: Mapping[str, Scorer], shares: Sequence[Sequence[float]]
    ) -> tuple[Result, Sequence[float]]:
        """The best sum of models by some of validation's users; then the test once.

        Args:
            model: Its name in the table.
            parts: Name → a fitted model.
            shares: What is tried: a weight for each part.
        """
        began = time.perf_counter()
        exam = self.validation.sample(MIX_USERS)
        scaled = [_scaled(part.scores(exam.batch)) for part in parts.values()]
        row_of = {user: row for row, user in enumerate(exam.batch.user_ids)}
        found = []
        for each in shares:
            mixed = _Known(row_of, _summed(each, scaled))
            found.append(float(exam.take(mixed.scores)["ndcg_at_10"].mean()))
        best = shares[int(np.argmax(found))]
        mix = Mixed(list(zip(parts.values(), best, strict=True)))
        words = " + ".join(f"{share:g} {name}" for name, share in zip(parts, best, strict=True))
        result = Result(
            model, words, len(shares), self.validated(mix.scores), time.perf_counter() - began
        )
        return self.tested(result, mix), best

    def tested(self, result: Result, scorer: Scorer) -> Result:
        """The result with what the first seed's test says."""
        taken = self.test.take(scorer.scores)
        intervals = {name: bootstrap_interval(values, seed=7) for name, values in taken.items()}
        return replace(result, test=intervals, seeds=(_means(taken),))

    def fitted(self, fit: Fit) -> Scorer:
        """Learn from what precedes the validation interaction."""
        return fit(self.train, self.until, self.validated)

    def again(self, result: Result, scorers: Iterable[Scorer]) -> Result:
        """The same settings with other seeds, each tested."""
        others = [_means(self.test.take(scorer.scores)) for scorer in scorers]
        return replace(result, seeds=(*result.seeds, *others))


def _means(taken: Mapping[str, Floats]) -> dict[str, float]:
    return {name: round(float(values.mean()), 6) for name, values in taken.items()}


@dataclass(frozen=True)
class Likely:
    """A model's logits as likelihoods, the user's most likely item 1; what has no opinion is 0.

    ``temperature``: above 1 the less likely items count for more.
    """

    scorer: Scorer
    temperature: float = 1.0

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        logits_BV = self.scorer.scores(batch)
        largest_B1 = logits_BV.max(axis=1, keepdims=True)
        largest_B1[~np.isfinite(largest_B1)] = 0.0
        likely_BV = np.exp((logits_BV - largest_B1) / np.float32(self.temperature))
        return np.asarray(likely_BV, dtype=np.float32)


@dataclass(frozen=True)
class Mixed:
    """A weighted sum of models, each user's scores divided by the user's largest; none is 0."""

    parts: Sequence[tuple[Scorer, float]]

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        total_BV: Scores = np.zeros(batch.bought_BV.shape, dtype=np.float32)
        for scorer, weight in self.parts:
            if weight:  # What counts nothing need not be asked.
                total_BV += np.float32(weight) * _scaled(scorer.scores(batch))
        return total_BV


@dataclass(frozen=True)
class _Known:
    """Scores that are there already, by user."""

    row_of: Mapping[str, int]
    scores_BV: Scores

    def scores(self, batch: UserBatch) -> Scores:
        """The batch's users' rows; shape [B, V]."""
        return self.scores_BV[[self.row_of[user] for user in batch.user_ids]]


def _summed(shares: Sequence[float], scaled: Sequence[Scores]) -> Scores:
    total_BV = np.zeros_like(scaled[0])
    for share, scores_BV in zip(shares, scaled, strict=True):
        if share:
            total_BV += np.float32(share) * scores_BV
    return total_BV


def _scaled(scores_BV: Scores) -> Scores:
    known_BV = np.where(np.isfinite(scores_BV), scores_BV, 0.0)
    largest_B1 = np.abs(known_BV).max(axis=1, keepdims=True)
    return np.asarray(known_BV / np.maximum(largest_B1, 1e-12), dtype=np.float32)
