"""May this model go live? A paired bootstrap over the same users; when in doubt, no.

The rule, per task (``any`` and ``new``), on NDCG@10:

* **A first release** must beat recent popularity: the 95 % interval of the paired difference lies
  above 0.
* **A challenger** must not be worse than the champion. With 1,500 users, a mean NDCG of 0.12-0.36
  and a per-user difference of 0.05-0.10 between two runs of one model, the interval of the
  difference reaches about 1-4 % of the mean to each side. A margin below that would refuse equals
  by chance; none at all would let a model through because little is known of it. So the challenger
  is refused unless the interval's low end lies above −5 % of the champion's mean (*non-inferior*),
  **and** unless its high end is at least 0 (a small loss that is certain is still a loss), **and**
  unless it is above popularity on average (small losses must not add up over many releases).
* Few users make a wide interval, hence a refusal: the champion stays until there is more to see.

Everything that cannot be judged is refused: a missing task, a missing or non-finite metric, too few
users, other users.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from domain.errors import CannotJudgeError
from models.bootstrap import Interval
from models.evaluate import MIN_USERS, TASKS, paired_difference

METRIC: Final = "ndcg_at_10"
MARGIN_SHARE: Final = 0.05
CHAMPION: Final = "champion"
POPULARITY: Final = "popularity"


@dataclass(frozen=True)
class Comparison:
    """The challenger against another on one task; ``difference`` is challenger − other."""

    task: str
    other: str
    user_count: int
    challenger_mean: float
    other_mean: float
    difference: Interval
    is_passed: bool
    why: str


@dataclass(frozen=True)
class Verdict:
    """The decision, with everything it rests on."""

    is_accepted: bool
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, object]:
        """For the manifest and the ledger."""
        return asdict(self)


def decide(
    challenger: pa.Table, *, popularity: pa.Table, champion: pa.Table | None = None
) -> Verdict:
    """Decide on per-user metrics (``models.evaluate.PER_USER``, both tasks in each table).

    Args:
        challenger: Who wants to go live.
        popularity: Recent popularity, on the same users.
        champion: Who is live, judged anew on the same users and window; None before the first.
    """
    try:
        comparisons = tuple(
            comparison
            for task in TASKS
            for comparison in _of_task(task, challenger, popularity, champion)
        )
    except (CannotJudgeError, ValueError, KeyError) as error:
        return Verdict(False, (f"cannot be judged: {error}",))
    refusals = tuple(each.why for each in comparisons if not each.is_passed)
    if refusals:
        return Verdict(False, refusals, comparisons)
    return Verdict(True, tuple(each.why for each in comparisons), comparisons)


def _of_task(
    task: str, challenger: pa.Table, popularity: pa.Table, champion: pa.Table | None
) -> list[Comparison]:
    ours = _rows(challenger, task, "challenger")
    baseline = _compare(task, ours, _rows(popularity, task, POPULARITY), POPULARITY)
    if champion is None:
        return [_must_be_better(baseline)]
    against = _compare(task, ours, _rows(champion, task, CHAMPION), CHAMPION)
    return [_must_not_be_worse(against), _must_be_better_on_average(baseline)]


def _rows(table: pa.Table, task: str, whose: str) -> pa.Table:
    rows = table.filter(pc.equal(table.column("task"), task))
    if len(rows) < MIN_USERS:
        raise CannotJudgeError(
            f"task {task}, {whose}: {len(rows)} users, expected at least {MIN_USERS}"
        )
    if pc.count_distinct(rows.column("user_id")).as_py() != len(rows):
        raise CannotJudgeError(f"task {task}, {whose}: a user stands there twice")
    values = rows.column(METRIC)
    if values.null_count or not pc.all(pc.is_finite(values)).as_py():
        raise CannotJudgeError(f"task {task}, {whose}: {METRIC} is missing or not a number")
    return rows


def _compare(task: str, ours: pa.Table, theirs: pa.Table, other: str) -> Comparison:
    difference = paired_difference(ours, theirs, metric=METRIC)
    if not all(map(math.isfinite, (difference.mean, difference.low, difference.high))):
        raise CannotJudgeError(f"task {task}: the difference to {other} is not a number")
    return Comparison(
        task=task,
        other=other,
        user_count=len(ours),
        challenger_mean=float(pc.mean(ours.column(METRIC)).as_py()),
        other_mean=float(pc.mean(theirs.column(METRIC)).as_py()),
        difference=difference,
        is_passed=False,
        why="",
    )


def _must_be_better(found: Comparison) -> Comparison:
    return _decided(found, found.difference.low > 0, "the interval must lie above 0")


def _must_be_better_on_average(found: Comparison) -> Comparison:
    return _decided(found, found.difference.mean > 0, "it must be above it on average")


def _must_not_be_worse(found: Comparison) -> Comparison:
    margin = MARGIN_SHARE * found.other_mean
    is_passed = found.difference.low > -margin and found.difference.high >= 0
    return _decided(found, is_passed, f"the interval must lie above -{margin:.4f} and reach 0")


def _decided(found: Comparison, is_passed: bool, rule: str) -> Comparison:
    why = (
        f"{found.task}: {METRIC} {found.challenger_mean:.4f} against {found.other} "
        f"{found.other_mean:.4f}, difference {found.difference.mean:+.4f} "
        f"[{found.difference.low:+.4f}, {found.difference.high:+.4f}] over "
        f"{found.user_count} users; {rule}: {'passed' if is_passed else 'refused'}"
    )
    return replace(found, is_passed=is_passed, why=why)
