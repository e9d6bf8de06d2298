"""What the warehouse file says of itself: is it there, and which plan was it built for."""

from pathlib import Path

import duckdb

from domain.errors import BadInputError
from domain.settings import Settings
from warehouse.connection import open_warehouse

_NOTE = "build_note"
"""Written by dbt around each run (dbt/macros/note.sql): which plan, and whether all of it."""


def is_lost(settings: Settings) -> bool:
    """Whether a warehouse that was built before is not there any more, or holds no event.

    Raises:
        BadInputError: If the file is there and cannot be opened.
    """
    if settings.dbt_target != "duckdb":
        return False  # warehouse/identity.py knows a server's databases by the home they belong to
    return not _has_rows(settings.warehouse_file)


def require_built(settings: Settings, plan_id: str) -> None:
    """Refuse to publish what dbt did not build for exactly this plan.

    Plan, dbt and publish are three tasks in Airflow. Another run may plan in between, with days
    that became dirty meanwhile: publishing those would forget them without having built them.

    Raises:
        BadInputError: If dbt last ran for another plan, or did not end well.
    """
    with open_warehouse(settings) as warehouse:
        is_there = warehouse.rows(
            "select 1 from information_schema.tables where table_name = $1", _NOTE
        )
        found = warehouse.rows(f"select plan_id, is_done from {_NOTE}") if is_there else []
    noted, is_done = found[0] if found else ("none", False)
    if noted != plan_id or not is_done:
        done = "ended" if is_done else "did not end"
        raise BadInputError(
            f"dbt has not built plan {plan_id[:8]}: it last ran for plan {noted[:8]} and {done}. "
            "Nothing was published and no day is forgotten; run the build again"
        )


def _has_rows(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        with duckdb.connect(str(file), read_only=True) as warehouse:
            held = ("events", "rejected_events")
            return any(_has_row(warehouse, table) for table in held)
    except duckdb.IOException as error:
        raise BadInputError(
            f"{file} cannot be opened ({str(error).splitlines()[0]}); it is made of the lake: if "
            "no build is running, remove it and run vitrine build --all"
        ) from error


def _has_row(warehouse: duckdb.DuckDBPyConnection, table: str) -> bool:
    try:
        return bool(warehouse.execute(f"select 1 from {table} limit 1").fetchall())
    except duckdb.CatalogException:
        return False
