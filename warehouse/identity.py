"""Whether the warehouse is the one that this home's days were built in.

Features look back over what the warehouse holds. A database that is another home's, was made anew,
or missed days because dbt ran elsewhere meanwhile would give wrong ones without an error.
"""

import json
import logging
from pathlib import Path
from typing import Final
from uuid import uuid4

from domain.errors import BadInputError
from domain.files import sweep_beside, write_json
from domain.settings import Settings
from warehouse.plan import published_days
from warehouse.standing import is_lost

logger = logging.getLogger(__name__)

_DUCKDB: Final = "duckdb"
_SCHEMA: Final = "vitrine_landed"


def must_build_whole(settings: Settings) -> bool:
    """Whether the warehouse lacks days that this home built before, and all must be built again.

    Raises:
        BadInputError: If it is another home's.
    """
    known = _known(settings)
    has_rows = not is_lost(settings)
    if settings.dbt_target == "postgres":
        owner = _owner(settings)
        has_rows = owner is not None
        if owner not in (None, known["home"]):
            raise BadInputError(
                f"{_name(settings)} is the warehouse of another home: choose another database, or "
                f"drop its schemas vitrine and {_SCHEMA}"
            )
    if has_rows and known["built_in"] == _name(settings):
        return False
    days = len(published_days(settings))
    if days:
        logger.warning(
            "%s lacks the %d days that were built in %s: all are built again from the lake",
            *(_name(settings), days, known["built_in"]),
        )
    return days > 0


def remember_warehouse(settings: Settings) -> None:
    """From now on this home's days are built here; called once they are marked to be rebuilt."""
    known = _known(settings)
    sweep_beside(_memory(settings))
    write_json(_memory(settings), {**known, "built_in": _name(settings)})
    if settings.dbt_target == "postgres":
        _own(settings, home=known["home"])


def _known(settings: Settings) -> dict[str, str]:
    """``home``: its id in databases; ``built_in``: the warehouse of the last build."""
    path = _memory(settings)
    if not path.exists():
        return {"home": uuid4().hex, "built_in": _DUCKDB}
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return known


def _memory(settings: Settings) -> Path:
    return settings.root / "warehouse.json"


def _name(settings: Settings) -> str:
    """The warehouse without user and password."""
    if settings.dbt_target == "duckdb":
        return _DUCKDB
    from warehouse.postgres import dbt_connection

    told = dbt_connection(settings)
    host, port = told["VITRINE_DBT_HOST"], told["VITRINE_DBT_PORT"]
    return f"postgresql://{host}:{port}/{told['VITRINE_DBT_DATABASE']}"


def _owner(settings: Settings) -> str | None:
    from warehouse.postgres import connect

    with connect(settings) as connection:
        there = connection.execute(f"select to_regclass('{_SCHEMA}.home')").fetchall()
        if there == [(None,)]:
            return None
        owners = connection.execute(f"select id from {_SCHEMA}.home").fetchall()
        return str(owners[0][0]) if owners else None


def _own(settings: Settings, *, home: str) -> None:
    from warehouse.postgres import connect

    with connect(settings) as connection:
        connection.execute(f"create schema if not exists {_SCHEMA}")
        connection.execute(
            f"create table if not exists {_SCHEMA}.home "
            "(id text not null, is_only boolean primary key default true check (is_only))"
        )
        connection.execute(
            f"insert into {_SCHEMA}.home (id) values (%s) on conflict (is_only) do nothing", (home,)
        )
