"""Runs dbt: the environment and the vars it needs, its progress, its failures as our errors.

dbt runs in this process: when ``vitrine build`` is killed, no half of it goes on alone.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from domain.errors import DataQualityError
from domain.events import INTERACTION_WEIGHTS, SESSION_GAP, EventType
from domain.node_results import BROKEN, NodeResult, nobody
from domain.schemas import BOUGHT_HALF_LIFE_DAYS, BOUGHT_LENGTH, HISTORY_LENGTH
from domain.settings import Settings
from warehouse.lake import write_types
from warehouse.plan import Plan

# Clicks, views and searches of one user. Nobody reads 30 pages in a minute; whoever exceeds either
# is refused for the day (reason: bot).
BOT_ACTIONS_PER_MINUTE: Final = 30
BOT_ACTIONS_PER_DAY: Final = 2_000

# What happened is told by progress and by errors; dbt's own words go to its log file.
_SILENT: Final = ("--log-level", "none", "--no-print")

Say = Callable[..., None]
Tell = Callable[[NodeResult], None]


def constants(settings: Settings) -> dict[str, object]:
    """The names and numbers of ours that dbt's SQL needs: each exists once, in Python."""
    return {
        "source": settings.source.value,
        "event_types": [kind.value for kind in EventType],
        "interaction_weights": {kind.value: w for kind, w in INTERACTION_WEIGHTS.items()},
        "session_gap_minutes": int(SESSION_GAP.total_seconds() // 60),
        "history_length": HISTORY_LENGTH,
        "bought_length": BOUGHT_LENGTH,
        "bought_half_life_days": BOUGHT_HALF_LIFE_DAYS,
        "bot_actions_per_minute": BOT_ACTIONS_PER_MINUTE,
        "bot_actions_per_day": BOT_ACTIONS_PER_DAY,
    }


def environment(settings: Settings) -> dict[str, str]:
    """Every environment variable that dbt needs, in this process or under Airflow."""
    server = {}
    if settings.dbt_target == "postgres":
        from warehouse.postgres import dbt_connection

        server = dbt_connection(settings)
    return {
        **server,
        "DBT_PROJECT_DIR": str(settings.dbt_project),
        "DBT_PROFILES_DIR": str(settings.dbt_project),
        "DBT_TARGET_PATH": str(settings.cache / "dbt" / "target"),
        "DBT_LOG_PATH": str(settings.cache / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "VITRINE_DBT_TARGET": settings.dbt_target,
        "VITRINE_DBT_WAREHOUSE": str(settings.warehouse_file),
        "VITRINE_DBT_LAKE": str(settings.lake),
        "VITRINE_DBT_CACHE": str(settings.cache),
        "VITRINE_DBT_CONSTANTS": json.dumps(constants(settings), sort_keys=True),
    }


def dbt_vars(settings: Settings, days: Iterable[date]) -> dict[str, object]:
    """The vars of a dbt run about these days.

    One day is ``event_date``, as a Dag passes it: dbt then reads the plan that
    ``vitrine build --plan --day D`` wrote, dirty and later days included.
    """
    wanted = sorted(day.isoformat() for day in days)
    if len(wanted) == 1:
        return {"event_date": wanted[0]}
    return {"days": wanted}


def parse(settings: Settings) -> Path:
    """Run ``dbt parse`` and return the path of the manifest (Airflow draws its tasks from it)."""
    settings.root.mkdir(parents=True, exist_ok=True)
    write_types(settings.cache)
    _invoke(settings, ["parse"], on_event=lambda event: None)
    return settings.cache / "dbt" / "target" / "manifest.json"


def build(
    settings: Settings, plan: Plan, *, progress: Say, tell: Tell = nobody
) -> dict[str, float]:
    """Run ``dbt build`` for a plan that is written; returns each model's seconds.

    Args:
        settings: The shop.
        plan: As ``warehouse.plan.make_plan`` wrote it.
        progress: Hears of each model.
        tell: Gets the result of each model and test as it ends.

    Raises:
        DataQualityError: Naming every model and test that failed.
    """
    # Unit tests have invented rows: they belong to the tests, not to a day of the shop.
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if plan.is_full:
        arguments.append("--full-refresh")
    results = _invoke(settings, arguments, on_event=_listener(progress, tell))
    return {
        result.node.name: round(result.execution_time, 3)
        for result in results
        if result.node.resource_type == "model"
    }


def unit_test(settings: Settings) -> int:
    """Run dbt's unit tests on an existing warehouse; returns how many passed.

    Raises:
        DataQualityError: Naming every unit test that failed.
    """
    arguments = ["test", "--select", "test_type:unit"]
    return len(_invoke(settings, arguments, on_event=lambda event: None))


def _invoke(settings: Settings, arguments: list[str], *, on_event: Callable[[Any], None]) -> Any:
    from dbt.cli.main import dbtRunner

    settings.root.mkdir(parents=True, exist_ok=True)
    with _environment(environment(settings)):
        outcome = dbtRunner(callbacks=[on_event]).invoke([*_SILENT, *arguments])
        _close_warehouse()
    if outcome.exception is not None:
        raise DataQualityError(f"dbt {arguments[0]}: {outcome.exception}") from outcome.exception
    results = getattr(outcome.result, "results", [])
    failures = [result for result in results if result.status in BROKEN]
    if failures or not outcome.success:
        told = "; ".join(f"{failure.node.name}: {failure.message}" for failure in failures)
        failed = f"{len(failures)} of {len(results)} models and tests failed"
        raise DataQualityError(
            f"dbt {arguments[0]}: {failed}: {told}",
            rules=[failure.node.name for failure in failures],
        )
    return results


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _close_warehouse() -> None:
    """Let go of the warehouse file: dbt-duckdb keeps it open for the life of the process."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()


def _listener(progress: Say, tell: Tell) -> Callable[[Any], None]:
    def on_event(event: Any) -> None:
        if event.info.name == "LogModelResult":
            node = event.data
            name, took = node.node_info.node_name, f"{node.execution_time:.1f} s"
            said = f"{name} {node.status.lower()} in {took}"
            progress("build", said, done=node.index, total=node.total)
        elif event.info.name == "NodeFinished":
            tell(_result(event.data))

    return on_event


def _result(finished: Any) -> NodeResult:
    ran = finished.run_result
    return NodeResult(
        unique_id=finished.node_info.unique_id,
        status=ran.status,
        seconds=round(ran.execution_time, 3),
        message=ran.message,
    )
