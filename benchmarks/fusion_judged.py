"""The judging half of ``benchmarks/fusion.py``: from raw scores to a table with its intervals."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.binary_metrics import best_f1_threshold, logistic_losses
from models.bootstrap import Interval, seeds_interval, times_drawn
from models.fusion import Fusion
from models.ranking.exam import Exam
from models.ranking.judge import Scored, fit_fusion
from models.ranking.lists import RankingLists
from models.ranking.tally import MEASURES, measures_of, tally_lists

# R resamples, L lists, C candidates, N candidates of all lists, S sums of one list

Of = tuple[str, str]
"""``validation`` or ``test``, and the task."""
Raw = Mapping[Of, npt.NDArray[np.float32]]
"""One ranker's raw scores [L, C] of all lists; 0 at padding."""

PARTS: Final = ("dnn", "transformer")
FUSION: Final = "fusion"
NOISE_SEED: Final = 1


@dataclass(frozen=True)
class Blend:
    """Two rankers' raw scores and how they are fused: each row of the table is one."""

    fusion: Fusion
    first: Raw
    second: Raw

    def log_odds(self, of: Of) -> npt.NDArray[np.float32]:
        """Fused, calibrated; at padding anything. Shape [L, C]."""
        return self.fusion(self.first[of], self.second[of])


@dataclass(frozen=True)
class Outcome:
    """One row on one task with one seed: each measure on the test, and in each resample of it."""

    threshold: float
    measures: Mapping[str, float]
    resampled: Mapping[str, npt.NDArray[np.float64]]


def fitted(first: Raw, second: Raw, validation: Mapping[str, RankingLists]) -> Blend:
    """Calibrate both and learn α on the validation lists of all tasks together, as releases do."""
    scored = [
        Scored(
            first["validation", task], second["validation", task], lists.labels_LC, lists.mask_LC
        )
        for task, lists in validation.items()
    ]
    return Blend(fit_fusion(scored), first, second)


def rows_of(
    mine: Mapping[str, Raw], other: Mapping[str, Raw], validation: Mapping[str, RankingLists]
) -> dict[str, Blend]:
    """The table's rows with one seed; ``other``: both rankers of another seed, for the controls."""
    fused = fitted(mine["dnn"], mine["transformer"], validation)
    shares = {"dnn": 1.0, "transformer": 0.0, FUSION: fused.fusion.alpha, "alpha 0.5": 0.5}
    blends = {
        name: replace(fused, fusion=replace(fused.fusion, alpha=alpha))
        for name, alpha in shares.items()
    }
    return blends | {f"two {part}s": fitted(mine[part], other[part], validation) for part in PARTS}


def limits(
    mine: Mapping[str, Raw], validation: Mapping[str, RankingLists], *, seed: int
) -> dict[str, float]:
    """α where one ranker's scores are noise: 1 is right without r2, 0 without r1."""
    generator = np.random.default_rng([NOISE_SEED, seed])
    noise = {
        of: generator.normal(size=raw.shape).astype(np.float32) for of, raw in mine["dnn"].items()
    }
    return {
        "r2 is noise": fitted(mine["dnn"], noise, validation).fusion.alpha,
        "r1 is noise": fitted(noise, mine["transformer"], validation).fusion.alpha,
    }


def outcome(blend: Blend, task: str, exam: Exam, times_RL: npt.NDArray[np.float64]) -> Outcome:
    """Fix the threshold on validation, then judge on the test."""
    tuned, lists = exam.validation[task], exam.test[task]
    mask_LC = tuned.mask_LC
    threshold = best_f1_threshold(
        blend.log_odds(("validation", task))[mask_LC], tuned.labels_LC[mask_LC] > 0
    )
    sums_LS = tally_lists(
        blend.log_odds(("test", task)), lists.labels_LC, lists.mask_LC, threshold=threshold
    )
    whole = measures_of(sums_LS.sum(axis=0))
    measures = {name: float(value) for name, value in whole.items()}
    return Outcome(threshold, measures, measures_of(times_RL @ sums_LS))


def difference(a: Sequence[Outcome], b: Sequence[Outcome], measure: str) -> dict[str, Any]:
    """``a − b``, seed by seed: its interval over seeds, over lists, and how many seeds ``a`` leads.

    Over lists: the lists are drawn anew, the mean over seeds is taken, the same lists for both.
    """
    each = np.array([x.measures[measure] - y.measures[measure] for x, y in zip(a, b, strict=True)])
    drawn = [x.resampled[measure] - y.resampled[measure] for x, y in zip(a, b, strict=True)]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return {
        "over_seeds": seeds_interval(each).to_json(),
        "over_lists": Interval(float(each.mean()), float(low), float(high)).to_json(),
        "seeds_above": int((each > 0).sum()),
    }


def no_model(validation: RankingLists, test: RankingLists) -> dict[str, Any]:
    """What is had without any model: the share of wanted candidates, and always no, always yes."""
    shares = [float((lists.labels_LC[lists.mask_LC] > 0).mean()) for lists in (validation, test)]
    odds = np.full(1, np.log(shares[0] / (1.0 - shares[0])))
    loss = [float(logistic_losses(odds, np.array([is_wanted]))[0]) for is_wanted in (True, False)]
    return {
        "wanted_share": {"validation": shares[0], "test": shares[1]},
        "always no": {"accuracy": 1.0 - shares[1], "recall": 0.0, "f1": 0.0},
        "always yes": {
            "accuracy": shares[1],
            "recall": 1.0,
            "f1": 2.0 * shares[1] / (1.0 + shares[1]),
        },
        "log_loss_of_share": shares[1] * loss[0] + (1.0 - shares[1]) * loss[1],
    }


def judged(exam: Exam, raw: Mapping[int, Mapping[str, Raw]]) -> dict[str, Any]:
    """Everything that the result says of the models; ``raw``: seed → ranker → scores."""
    seeds = list(raw)
    blends = {
        seed: rows_of(raw[seed], raw[after], exam.validation)
        for seed, after in zip(seeds, [*seeds[1:], seeds[0]], strict=True)
    }
    tasks = {}
    for task, lists in exam.test.items():
        times_RL = times_drawn(len(lists))
        rows = {
            name: [outcome(blends[seed][name], task, exam, times_RL) for seed in seeds]
            for name in blends[seeds[0]]
        }
        sys.stderr.write(f"{task}: judged\n")
        tasks[task] = {
            "test_lists": len(lists),
            "test_candidates": int(lists.mask_LC.sum()),
            "test_wanted": int((lists.labels_LC > 0).sum()),
            "no_model": no_model(exam.validation[task], lists),
            "rows": {name: _row(outcomes) for name, outcomes in rows.items()},
            "fusion_minus": {
                name: {measure: difference(rows[FUSION], them, measure) for measure in MEASURES}
                for name, them in rows.items()
                if name != FUSION
            },
        }
    return {
        "tasks": tasks,
        "alpha": {
            name: [blends[seed][name].fusion.alpha for seed in seeds]
            for name in (FUSION, *(f"two {part}s" for part in PARTS))
        },
        "limits": {seed: limits(raw[seed], exam.validation, seed=seed) for seed in seeds},
    }


def _row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    values = {name: [each.measures[name] for each in outcomes] for name in MEASURES}
    return {
        "thresholds": [each.threshold for each in outcomes],
        **{
            name: seeds_interval(np.array(of_seeds)).to_json() | {"seeds": of_seeds}
            for name, of_seeds in values.items()
        },
    }
