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

SUITES: Final = (
    "events",
    "items",
    "users",
    "transactions",
    "judged_events",
    *FEATURE_TABLES,
    RETRIEVAL_EXAMPLES,
    RANKING_EXAMPLES,
)
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
        beside: More such folders, whose rows are the table's too.
        may_be_empty: A day without rows is an ordinary day: nobody came to the storefront.
        is_optional: A shop may never state any row of it.
        is_snapshot: Only days on which something changed need one.
        left_out: Measures whose expectation is not asked for: only to prove that each is needed.
    """

    name: str
    suite: str
    folder: Path
    beside: tuple[Path, ...] = ()
    may_be_empty: bool = False
    is_optional: bool = False
    is_snapshot: bool = False
    left_out: frozenset[str] = frozenset()

    @property
    def is_landed(self) -> bool:
        """Whether a source hands it over; else dbt makes it."""
        return "." in self.name

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the table's rows are."""
        return (self.folder, *self.beside)

    @property
    def measures(self) -> Mapping[str, str]:
        """Measure → SQL aggregate over one day's rows."""
        return suite(self.suite).MEASURES  # type: ignore[no-any-return]

    @property
    def compared(self) -> Sequence[str]:
        """Columns of which the day before is known: ``is_new_<column>`` in the measures' SQL."""
        return getattr(suite(self.suite), "COMPARED", ())

    @property
    def expectations(self) -> Sequence[Any]:
        """The suite's Great Expectations objects."""
        wanted: Sequence[Any] = suite(self.suite).EXPECTATIONS
        return [one for one in wanted if measure_of(one) not in self.left_out]

    @property
    def why(self) -> str:
        """The suite's docstring."""
        return suite(self.suite).__doc__ or ""


def suite(name: str) -> Any:
    """The module of ``quality.suites`` of that name.

    Raises:
        DataQualityError: If there is none: then nothing judges the table.
    """
    module = f"quality.suites.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise DataQualityError(
            f"{name} has no suite {module.replace('.', '/')}.py: nothing judges it"
        ) from error


def measure_of(expectation: Any) -> str:
    """What an expectation is about: a measure, or ``days`` for "was any day looked at?"."""
    return str(getattr(expectation, "column", "days"))


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
        # With the events they are made of: what was refused row by row was not seen by the lake's
        # checks, and features of few rows look like those of a quiet day.
        "features": [_mart(settings, table) for table in ("events", *FEATURE_TABLES)],
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
        is_optional=table == "users",
        is_snapshot=table in _SNAPSHOTS,
    )


def _mart(settings: Settings, table: str) -> Table:
    if table == "events":
        rejected = settings.marts / "rejected_events"
        return Table(table, "judged_events", settings.marts / table, beside=(rejected,))
    return Table(table, table, settings.marts / table)


def _choices(settings: Settings) -> str:
    landed = [f"{settings.source.value}.{table}" for table in LANDED[settings.source.value]]
    return "landed, features, examples, " + ", ".join([*landed, *_MARTS])
