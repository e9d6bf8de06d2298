"""Great Expectations, started once a command: suites in memory, results and data docs on disk."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
from great_expectations.expectations.expectation import Expectation

from domain.errors import DataQualityError
from quality.tables import Table

KEPT: Final = 60
"""Results kept per table, the newest; the docs' first page lists them."""

_EVERY_VALUE: Final = {"result_format": "COMPLETE", "unexpected_index_column_names": ["event_date"]}


@dataclass(frozen=True)
class Break:
    """One expectation that one table did not meet.

    Attributes:
        days: The days that broke it; empty where no day was looked at.
        suite: The suite that asks it.
        is_low: Every broken value is below the bound, none above.
    """

    table: str
    expectation: str
    column: str
    expected: str
    got: str
    why: str
    days: tuple[str, ...]
    suite: str = ""
    is_low: bool = False

    @property
    def rule(self) -> str:
        """The expectation's name: suite and measure."""
        return f"{self.suite}.{self.column or 'days'}"

    def __str__(self) -> str:
        """One sentence: what, where, expected, got."""
        days = ", ".join(self.days[:5]) + (" …" if len(self.days) > 5 else "")
        where = f"{self.table} {days}".strip()
        return (
            f"{where}: {self.expectation}({self.column or 'table'}) expected {self.expected}, "
            f"got {self.got} ({self.why})"
        )


class Expectations:
    """Runs suites and keeps what they found, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._validations = folder / "validations"
        self.docs = folder / "data_docs" / "index.html"
        self._context = gx.get_context(mode="ephemeral", project_config=_config(folder))
        self._source = self._context.data_sources.add_pandas("days")
        self._results = self._context.validation_results_store
        self._drawn = set(self._results.list_keys())

    def validate(
        self, table: Table, days: pd.DataFrame, *, run: str, mostly: float = 1.0
    ) -> list[Break]:
        """Judge days by the table's suite.

        Args:
            table: Whose suite; its docstring stands in the data docs.
            days: Its measures, one row a day (``quality.context``).
            run: Names the result in the docs: the day, or ``all``.
            mostly: Share of the days that must meet each expectation.

        Returns:
            Every break, also of a share of days that ``mostly`` allows.
        """
        name = table.name.replace(".", "__")  # A dot becomes a folder in the stores.
        asset = self._source.add_dataframe_asset(name)
        suite = gx.ExpectationSuite(
            name, expectations=[_share(e, mostly) for e in table.expectations], notes=table.why
        )
        definition = gx.ValidationDefinition(
            name=name,
            data=asset.add_batch_definition_whole_dataframe("days"),
            suite=self._context.suites.add(suite),
        )
        frame = days.reset_index().astype({"event_date": str})
        result = self._context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": frame},
            result_format=_EVERY_VALUE,
            run_id=gx.RunIdentifier(run_name=f"{name} {run}"),
        )
        _require_judged(table.name, asked=len(table.expectations), result=result)
        self._forget_old(name)
        return _breaks(table, result)

    def draw(self) -> Path:
        """Draw the results found since the last time; returns the docs' first page."""
        found = set(self._results.list_keys())
        self._context.build_data_docs(
            resource_identifiers=cast("list[ValidationResultIdentifier]", list(found - self._drawn))
        )
        self._drawn = found
        return self.docs

    def _forget_old(self, name: str) -> None:
        runs = sorted((self._validations / name).iterdir(), key=lambda run: run.stat().st_mtime)
        for run in runs[:-KEPT]:
            shutil.rmtree(run)


def _require_judged(table: str, *, asked: int, result: ExpectationSuiteValidationResult) -> None:
    """Law L8: a suite that is empty, or was not judged whole, is no pass.

    Raises:
        DataQualityError: If there is not exactly one result for each expectation.
    """
    if asked == 0 or len(result.results) != asked:
        raise DataQualityError(
            f"{table}: {asked} expectations, {len(result.results)} of them judged; a table that "
            "was not judged does not move on"
        )


def _share(expectation: Expectation, mostly: float) -> Expectation:
    """A fresh copy: Great Expectations writes an id into what it is given."""
    update: dict[str, Any] = {"id": None}
    if mostly < 1 and hasattr(expectation, "mostly"):
        update["mostly"] = mostly
    return expectation.copy(update=update)


def _breaks(table: Table, result: ExpectationSuiteValidationResult) -> list[Break]:
    found = [_break(table, one) for one in result.results]
    return [broken for broken in found if broken is not None]


def _break(table: Table, one: Any) -> Break | None:
    """The break of one result, or None; a value out of bounds is one even if a few may be."""
    config, result = one.expectation_config, one.result
    values: Sequence[object] = result.get("unexpected_list") or []
    if one.success and not values:
        return None
    rows = result.get("unexpected_index_list") or []
    observed = values or [result.get("observed_value", one.exception_info)]
    kwargs = config.kwargs
    return Break(
        table=table.name,
        suite=table.suite,
        expectation=config.type,
        column=kwargs.get("column", ""),
        expected=f"{_bound(kwargs.get('min_value'))} … {_bound(kwargs.get('max_value'))}",
        got=", ".join(_bound(value) for value in observed[:5]),
        why=str(config.notes or ""),
        days=tuple(str(row["event_date"]) for row in rows),
        is_low=_is_low(observed, kwargs.get("min_value")),
    )


def _is_low(values: Sequence[object], low: object) -> bool:
    return isinstance(low, (int, float)) and all(
        isinstance(value, (int, float)) and value < low for value in values
    )


def _bound(value: object) -> str:
    return (
        f"{value:g}"
        if isinstance(value, (int, float))
        else ("any" if value is None else str(value))
    )


def _config(folder: Path) -> DataContextConfig:
    defaults = InMemoryStoreBackendDefaults()
    on_disk = {"class_name": "TupleFilesystemStoreBackend"}
    stores = dict(defaults.stores) | {
        defaults.validation_results_store_name: {
            "class_name": "ValidationResultsStore",
            "store_backend": {**on_disk, "base_directory": str(folder / "validations")},
        }
    }
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {**on_disk, "base_directory": str(folder / "data_docs")},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    return DataContextConfig(
        config_version=4.0,
        stores=stores,
        expectations_store_name=defaults.expectations_store_name,
        validation_results_store_name=defaults.validation_results_store_name,
        checkpoint_store_name=defaults.checkpoint_store_name,
        data_docs_sites={"vitrine": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
