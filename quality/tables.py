"""Which tables can be checked, where their days stand, and which suite judges them."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.assets import FEATURE_TABLES, RANKING_EXAMPLES, RETRIEVAL_EXAMPLES
from domain.errors import BadInputError, DataQualityError
from domain.events import Source
from domain.schemas import LANDED
from domain.settings import Settings

_EXAMPLES: Final = (RETRIEVAL_EXAMPLES, RANKING_EXAMPLES)
_SNAPSHOTS: Final = frozenset({"users", "items"})
_MARTS: Final = ("events", *FEATURE_TABLES, *_EXAMPLES)


@dataclass(frozen=True)
class Table:
    """One table of days.

    Attributes:
        name: As it is asked for: ``simulated.events``, ``user_features``.
        suite: The module of ``quality.suites`` that judges it.
        folder: Holds ``event_date=D/part.parquet``.
        may_be_empty: A day without rows is an ordinary day: nobody came to the storefront.
        is_snapshot: Only days on which something changed need one.
    """

    name: str
    suite: str
    folder: Path
    may_be_empty: bool = False
    is_snapshot: bool = False

    @property
    def measures(self) -> Mapping[str, str]:
        """Measure → SQL aggregate over one day's rows."""
        return self._module.MEASURES  # type: ignore[no-any-return]

    @property
    def expectations(self) -> Sequence[Any]:
        """The suite's Great Expectations objects."""
        return self._module.EXPECTATIONS  # type: ignore[no-any-return]

    @property
    def why(self) -> str:
        """The suite's docstring."""
        return self._module.__doc__ or ""

    @property
    def _module(self) -> Any:
        name = f"quality.suites.{self.suite}"
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise DataQualityError(
                f"{self.name} has no suite {name.replace('.', '/')}.py: nothing judges it"
            ) from error


def resolve(names: Sequence[str], settings: Settings) -> list[Table]:
    """The tables of these names and groups, each once, in the order asked for.

    Raises:
        BadInputError: If a name is none, or nothing was asked for.
    """
    tables = {table.name: table for name in names for table in _resolve_one(name, settings)}
    if not tables:
        raise BadInputError(f"no table to check; expected {_choices(settings)}")
    return list(tables.values())


def _resolve_one(name: str, settings: Settings) -> list[Table]:
    groups = {
        "landed": _landed(settings),
        "features": [_mart(settings, table) for table in FEATURE_TABLES],
        "examples": [_mart(settings, table) for table in _EXAMPLES],
    }
    if name in groups:
        return groups[name]
    if name in _MARTS:
        return [_mart(settings, name)]
    source, _, table = name.partition(".")
    if table in LANDED.get(source, {}):
        return [_landed_table(settings, source, table)]
    raise BadInputError(f"'{name}' is no table to check: expected {_choices(settings)}")


def _landed(settings: Settings) -> list[Table]:
    """The shop's landed tables that exist, and the storefront's."""
    tables = [
        _landed_table(settings, source, table)
        for source in (settings.source.value, Source.STOREFRONT.value)
        for table in LANDED[source]
    ]
    shop = [table for table in tables if not table.may_be_empty]
    # A shop without users or items tables is a shop of events; one without events is none.
    return [t for t in tables if t.folder.exists() or (t.suite == shop[0].suite and t in shop)]


def _landed_table(settings: Settings, source: str, table: str) -> Table:
    return Table(
        f"{source}.{table}",
        table,
        settings.lake / source / table,
        may_be_empty=source == Source.STOREFRONT,
        is_snapshot=table in _SNAPSHOTS,
    )


def _mart(settings: Settings, table: str) -> Table:
    return Table(table, table, settings.marts / table)


def _choices(settings: Settings) -> str:
    landed = [f"{settings.source.value}.{table}" for table in LANDED[settings.source.value]]
    return "landed, features, examples, " + ", ".join([*landed, *_MARTS])
