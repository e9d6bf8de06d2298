"""One build: plan the days, run dbt, count the rows, publish the marts, forget the dirty days."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from domain import dirty
from domain.errors import BadInputError
from domain.files import only_writer
from domain.node_results import nobody
from domain.progress import Progress
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings
from warehouse import run
from warehouse.identity import must_build_whole, remember_warehouse
from warehouse.lake import landed_days
from warehouse.plan import Plan, days_to_rebuild, make_plan, published_days, read_plan
from warehouse.publish import publish
from warehouse.reconcile import reconcile
from warehouse.run import Tell
from warehouse.same_rows import require_same_rows, require_whole_lake
from warehouse.standing import require_built


def plan(settings: Settings, days: Iterable[date]) -> Receipt:
    """Write the plan for these days and the dirty ones; somebody else runs dbt."""
    watch = Stopwatch()
    with _lock(settings):
        made = _planned(settings, days, is_full=False)
    return Receipt(
        "build-plan", _key(made), seconds=watch.seconds, details={"days": list(made.days)}
    )


def build_days(settings: Settings, days: Iterable[date], *, tell: Tell = nobody) -> Receipt:
    """Rebuild these days and the dirty ones; ``tell`` gets each node's result as it ends.

    Without a day to rebuild, in a warehouse that was built, there is nothing to do: whoever runs
    again what was killed after its last step must not be refused.
    """
    days = tuple(days)
    with _lock(settings):
        if not days and _is_up_to_date(settings):
            return Receipt("build", "nothing-dirty", details={"days": 0})
        return _build(settings, _planned(settings, days, is_full=False), tell)


def build_all(settings: Settings, *, tell: Tell = nobody) -> Receipt:
    """Rebuild everything from the lake; ``tell`` gets each node's result as it ends."""
    with _lock(settings):
        return _build(settings, _planned(settings, (), is_full=True), tell)


def publish_days(settings: Settings, days: Iterable[date]) -> Receipt:
    """Reconcile and publish what dbt built for the last plan; ``days`` must be in it.

    Raises:
        BadInputError: If the last plan is about other days, or dbt has not built all of it.
    """
    with _lock(settings):
        made = read_plan(settings)
        foreign = sorted(set(days) - set(made.days))
        if foreign:
            raise BadInputError(
                f"{foreign[0]} is not in the last plan ({made.days[0]} … {made.days[-1]}): "
                f"run vitrine build --plan --day {foreign[0]} and dbt first"
            )
        return _publish(settings, made, {}, Stopwatch())


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    with only_writer(settings.marts, lock=settings.root / "warehouse.lock"):
        # What dbt's DuckDB had sorted on the disk when it was killed.
        shutil.rmtree(f"{settings.warehouse_file}.tmp", ignore_errors=True)
        yield


def _is_up_to_date(settings: Settings) -> bool:
    built = published_days(settings)
    return (
        bool(built)
        and not must_build_whole(settings)
        and not days_to_rebuild(settings, set(), built=built)
    )


def _planned(settings: Settings, days: Iterable[date], *, is_full: bool) -> Plan:
    """The plan, and what dbt needs to follow it."""
    made = make_plan(settings, days, is_full=must_build_whole(settings) or is_full)
    remember_warehouse(settings)
    if settings.dbt_target == "postgres":
        from warehouse.load import load

        load(settings, made)
    return made


def _build(settings: Settings, made: Plan, tell: Tell) -> Receipt:
    watch = Stopwatch()
    progress = Progress(settings.progress_log, command="build")
    progress("build", f"{len(made.days)} days to build", done=0)
    seconds = run.build(settings, made, progress=progress, tell=tell)
    return _publish(settings, made, {"dbt": watch.seconds, "models": seconds}, watch)


def _publish(
    settings: Settings, made: Plan, details: dict[str, object], watch: Stopwatch
) -> Receipt:
    progress = Progress(settings.progress_log, command="build")
    require_built(settings, made.plan_id)
    require_whole_lake(settings, made.marks)
    counted = reconcile(settings, made.days)
    require_same_rows(settings, made.days)
    reconciled_after = watch.seconds
    published = publish(settings, made, progress=progress)
    dirty.forget(settings.lake, made.marks)
    never_built = set(landed_days(settings.lake, settings.source)) - published_days(settings)
    return Receipt(
        "build",
        _key(made),
        rows_in=counted.landed,
        rows_out=counted.accepted,
        rows_quarantined=counted.rejected,
        seconds=watch.seconds,
        artifacts=(str(settings.marts),),
        details={
            **details,
            "days": len(made.days),
            "feature_days": len(made.feature_days),
            "rejected": counted.reasons,
            "rows": published.rows,
            "files_written": published.written,
            "files_unchanged": published.unchanged,
            "files_removed": published.removed,
            "publish": round(watch.seconds - reconciled_after, 3),
            "days_landed_but_never_built": len(never_built),
        },
    )


def _key(made: Plan) -> str:
    if made.is_full:
        return "all"
    asked = made.requested or made.days
    return str(asked[0]) if len(asked) == 1 else f"{asked[0]}_{asked[-1]}"
