"""Many mutations, or each rule taken away in turn: two at a time, each in copies of its own."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from quality.mutations.registry import MUTATIONS, needing
from stack.mutate.attempt import Outcome, attempt
from stack.mutate.good_days import GoodDays
from stack.mutate.rules import takeable

WORKERS: Final = 2

Say = Callable[[Outcome], None]
Task = tuple[tuple[str, ...], str]
"""The mutations to try until one passes unseen, and the rule that is left out, or an empty text."""


def try_all(names: Sequence[str], good: GoodDays, *, say: Say) -> list[Outcome]:
    """Try these mutations; the outcomes in the order of the names.

    Args:
        names: Of ``quality.mutations.registry``.
        good: The good days.
        say: Told of each outcome as it comes.
    """
    return _run([((name,), "") for name in names], good, say=say)


def take_away(good: GoodDays, *, say: Say, rules: Sequence[str] = ()) -> list[Outcome]:
    """Take each expectation and each dbt test away, and try what it alone must notice.

    An outcome that is ``is_unseen`` shows that its rule is needed. Where a rule is about several
    faults, one that passes is enough: a missing day is missed again one step later, an empty one
    that has a storefront's rows is not.

    Args:
        good: The good days.
        say: Told of each outcome as it comes.
        rules: Which rules; all, if none is named.
    """
    return _run(list(_tasks(rules or takeable())), good, say=say)


def _tasks(rules: Sequence[str]) -> Iterator[Task]:
    for rule in rules:
        # The finer faults stand last, and fewer rules notice them.
        yield tuple(mutation.name for mutation in needing(rule)[::-1]), rule


def _run(tasks: Sequence[Task], good: GoodDays, *, say: Say) -> list[Outcome]:
    if len(tasks) < 2:
        outcomes = {task: _work(task, good) for task in tasks}
    else:
        outcomes = {}
        # Spawned: a forked worker would inherit the locks of libraries that have threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
            waiting = {pool.submit(_work, task, good): task for task in tasks}
            for done in as_completed(waiting):
                outcomes[waiting[done]] = done.result()
                say(done.result())
        return [outcomes[task] for task in tasks]
    for outcome in outcomes.values():
        say(outcome)
    return list(outcomes.values())


def _work(task: Task, good: GoodDays) -> Outcome:
    names, rule = task
    scratch = good.root / f"copy-{multiprocessing.current_process().name}"
    for name in names:
        outcome = attempt(MUTATIONS[name], good, scratch, left_out=rule)
        if outcome.is_unseen:
            break
    return outcome
