"""A search for a retriever's settings within a budget, which goes on where it was stopped.

A trial is a whole training on everything before the last days that may be seen, judged on those
days: what ``models.alone`` does a little earlier, so that the best one can be made again. What
comes after ``until`` is never looked at. Trial 0 is the preset itself.

Settings are drawn by TPE (Bergstra et al. 2011, optuna's). What is drawn depends on the seed and on
what finished, and on nothing else: a trial that was cut off is drawn again, and a search that was
killed however often makes the trials of one that was not. What was tried once is not tried again.

A network far behind most others at the same validation is given up (optuna's percentile pruner).
Only the worst quarter is: those that overfit lead early (docs/log.md, a network for the next item).
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from domain.errors import BadInputError, VitrineError
from domain.files import exclusive
from domain.progress import silent
from models.device import training_threads
from models.evaluate import ScoresFunction
from models.loop import DivergedError, ProgressCall
from models.retrieval.config import RetrieverConfig
from models.retrieval.settings_file import changed, nested, value_of
from models.retrieval.spaces import Choice, Dimension, space_of
from models.tried import State, Tried, best_of, mean_s
from models.tune_job import Job

logger = logging.getLogger(__name__)

SAME_DRAWS: Final = 25
"""So many draws in a row of what was tried before, and there is nothing left to try."""
KEPT_PERCENTILE: Final = 75.0
"""A network goes on while it is among these best per cent at the same validation."""
FREE_TRIALS: Final = 5
"""Trials that are finished before the first may be given up."""

_STATES: Final[Mapping[TrialState, State]] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_SETTINGS_FAIL: Final = (DivergedError, ArithmeticError, MemoryError, RuntimeError, ValueError)
"""How a training ends whose settings are no good (out of memory is a RuntimeError of torch)."""


class NothingFinishedError(VitrineError):
    """The budget was over before one trial was."""


class _OutOfTimeError(Exception):
    """The budget is over in the middle of a trial."""


@dataclass(frozen=True)
class Budget:
    """Trials, seconds or both: whichever is over first.

    Seconds are those of drawing, fitting and judging. What earlier calls of the same search used
    counts, but for the trial that a kill cut off.

    Raises:
        BadInputError: If there is neither, or one is not above 0.
    """

    trials: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise BadInputError("a search needs a budget: --trials N, --budget-s SECONDS or both")
        if self.trials is not None and self.trials < 1:
            raise BadInputError(f"--trials: expected at least 1, got {self.trials}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise BadInputError(f"--budget-s: expected seconds above 0, got {self.seconds}")


@dataclass(frozen=True)
class Tuned:
    """What a search came to.

    Attributes:
        trials: All that ended, in order.
        best: The one with the highest score.
        first: The preset itself; None if it was cut off so far.
        config: Its whole configuration.
        stopped: Which budget was over (``trials``, ``seconds``), or ``exhausted``: nothing left.
    """

    trials: Sequence[Tried]
    best: Tried
    first: Tried | None
    config: RetrieverConfig
    stopped: str


def tune(
    job: Job,
    *,
    folder: Path,
    budget: Budget,
    seed: int = 7,
    threads: int = 0,
    progress: ProgressCall = silent,
    record: Callable[[Tried], None] = lambda tried: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search until the budget is over; finished trials of an earlier call count and are kept.

    Args:
        job: What is searched for.
        folder: This search's; holds ``study.db``. Another call at the same time waits for this one.
        budget: When it ends.
        seed: Of the draws.
        threads: CPU threads of training; 0 takes every core.
        progress: Told of each trial: its number, the best so far, the time left.
        record: Told of each trial that ended, those of earlier calls included.
        clock: Seconds.

    Raises:
        NothingFinishedError: If not even the first trial was done in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        exclusive(folder / "search.lock"),
        training_threads(threads),
        _opened(folder / "study.db") as study,
    ):
        search = _Search(job, study, budget, seed=seed, tell=progress, record=record, clock=clock)
        stopped = search.run()
        trials = search.ended()
    best = best_of(trials)
    if best is None:
        raise NothingFinishedError(
            f"{job.name}: no trial was done within {budget.seconds:g} s; give it more"
        )
    first = next((tried for tried in trials if tried.score is not None), None)
    return Tuned(trials, best, first, changed(job.config, nested(best.settings)), stopped)


@contextmanager
def _opened(path: Path) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        yield optuna.create_study(
            storage=storage,
            study_name="search",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.PercentilePruner(
                KEPT_PERCENTILE, n_startup_trials=FREE_TRIALS, n_warmup_steps=1
            ),
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


class _Search:
    """One call's part of a search."""

    def __init__(
        self,
        job: Job,
        study: optuna.Study,
        budget: Budget,
        *,
        seed: int,
        tell: ProgressCall,
        record: Callable[[Tried], None],
        clock: Callable[[], float],
    ) -> None:
        self._job, self._study, self._budget, self._seed = job, study, budget, seed
        self._tell, self._record, self._clock = tell, record, clock
        self._space = space_of(job.config)
        self._spent_before = _spent_s(study)
        self._began = clock()

    def run(self) -> str:
        """Try until there is a reason to stop; which one."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            logger.info("trial %d was cut off; it is tried again", trial.number)
            self._study.tell(trial.number, state=TrialState.FAIL)
        for tried in self.ended():
            self._record(tried)
        while not (stopped := self._reason_to_stop()):
            self._next()
        self._study.set_user_attr("spent_s", self._spent())
        return stopped

    def ended(self) -> list[Tried]:
        """All that ended, without draws of what had been tried."""
        trials = self._study.get_trials(deepcopy=False, states=tuple(_STATES))
        return [_tried(trial) for trial in trials if "same_as" not in trial.user_attrs]

    def _finished(self) -> list[Tried]:
        return [tried for tried in self.ended() if tried.state != "failed"]

    def _spent(self) -> float:
        return self._spent_before + self._clock() - self._began

    def _reason_to_stop(self) -> str:
        done = self._finished()
        if self._budget.trials is not None and len(done) >= self._budget.trials:
            return "trials"
        if self._budget.seconds is not None:
            left = self._budget.seconds - self._spent()
            # What most likely would be cut off is not begun.
            if left <= 0 or left < mean_s(done):
                return "seconds"
        return "exhausted" if self._same_draws(len(done)) >= SAME_DRAWS else ""

    def _same_draws(self, place: int) -> int:
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        return sum(trial.user_attrs.get("same_at") == place for trial in trials)

    def _next(self) -> None:
        """Draw settings, and try them unless they were tried."""
        done = self._finished()
        draws = self._same_draws(len(done))
        words = np.random.SeedSequence([self._seed, len(done), draws])
        self._study.sampler = optuna.samplers.TPESampler(
            seed=int(words.generate_state(1)[0]), constant_liar=False
        )
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not done and not waiting:
            self._study.enqueue_trial(
                {name: value_of(self._job.config, name) for name in self._space}
            )
        trial = self._study.ask(
            {name: _distribution(dimension) for name, dimension in self._space.items()}
        )
        same = next((tried for tried in done if tried.settings == trial.params), None)
        if same is None:
            self._try(trial, is_first=not done)
            return
        trial.set_user_attr("same_as", same.number)
        trial.set_user_attr("same_at", len(done))
        self._study.tell(trial, state=TrialState.FAIL)

    def _try(self, trial: optuna.Trial, *, is_first: bool) -> None:
        began, value, state, reason = self._clock(), None, TrialState.COMPLETE, ""
        try:
            value = self._job.score(
                changed(self._job.config, nested(trial.params)),
                watch=self._watch(trial),
                progress=self._in_time,
            )
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except _OutOfTimeError:
            state, reason = TrialState.FAIL, "the budget was over"
        except _SETTINGS_FAIL as error:
            if is_first:  # Not these settings are wrong, but something else.
                raise
            value, reason = 0.0, f"{type(error).__name__}: {error}"
            logger.warning("trial %d is worth nothing: %s", trial.number, reason)
        seconds = round(self._clock() - began, 3)
        # One attribute, for each is a transaction of its own on the disk.
        ended = {"seconds": seconds, "reason": reason, "spent_s": self._spent()}
        trial.set_user_attr("ended", ended)
        tried = _tried(self._study.tell(trial, value, state=state))
        self._record(tried)
        self._say(tried)

    def _watch(self, trial: optuna.Trial) -> Callable[[ScoresFunction], None]:
        step = 0

        def watch(scores: ScoresFunction) -> None:
            nonlocal step
            trial.report(self._job.validation.score(scores), step)
            step += 1
            self._require_time()
            if trial.should_prune():
                raise optuna.TrialPruned

        return watch

    def _in_time(
        self, stage: str, message: str, *, done: float | None = None, total: float | None = None
    ) -> None:
        """What a training tells is told on; and it ends there if the budget is over."""
        self._require_time()
        self._tell(stage, message, done=done, total=total)

    def _require_time(self) -> None:
        if self._budget.seconds is not None and self._spent() >= self._budget.seconds:
            raise _OutOfTimeError

    def _say(self, tried: Tried) -> None:
        done = self._finished()
        score = "no score" if tried.score is None else f"{tried.score:.4f}"
        best = best_of(done)
        shown = "" if best is None else f"; best {best.score:.4f} (trial {best.number})"
        by_trials = (
            math.inf
            if self._budget.trials is None
            else max(0, self._budget.trials - len(done)) * mean_s(done)
        )
        by_clock = (self._budget.seconds or math.inf) - self._spent()
        self._tell(
            "tune",
            f"trial {tried.number} {tried.state}: {score} in {tried.seconds:.1f} s{shown}; "
            f"about {max(0.0, min(by_trials, by_clock)):.0f} s left",
            done=self._spent() if self._budget.trials is None else len(done),
            total=self._budget.seconds if self._budget.trials is None else self._budget.trials,
        )


def _spent_s(study: optuna.Study) -> float:
    """What earlier calls took, up to the end of the last trial that a kill left."""
    notes = [trial.user_attrs.get("ended", {}) for trial in study.get_trials(deepcopy=False)]
    return max(float(note.get("spent_s", 0.0)) for note in [study.user_attrs, *notes])


def _tried(trial: FrozenTrial) -> Tried:
    state = _STATES[trial.state]
    ended = trial.user_attrs.get("ended", {"seconds": 0.0, "reason": ""})
    is_cut = state == "failed" and not ended["reason"]
    return Tried(
        number=trial.number,
        state=state,
        settings=dict(trial.params),
        score=None if state == "failed" else trial.value,
        seconds=ended["seconds"],
        curve=tuple(value for _, value in sorted(trial.intermediate_values.items())),
        reason="it was cut off" if is_cut else ended["reason"],
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.is_log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log)
