"""The ordinary path of one day, step by step, in this process: what Airflow runs as commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from domain.clock import midnight
from domain.events import Source
from domain.settings import Settings
from ingest.run import ingest
from quality.check import judge_day, judge_history
from quality.tables import Table, resolve
from stack.mutate.good_day import DAY
from warehouse.build import build_all, build_days

NOW: Final[datetime] = midnight(DAY + timedelta(days=1)) + timedelta(hours=2)
"""When a live shop lands its last day."""


def shop_settings(shop: str, home: Path, data: Path, **other: object) -> Settings:
    """A shop's settings, whatever the environment says."""
    said: dict[str, Any] = {
        "home": home,
        "data": data,
        "source": Source(shop),
        "clock": "replay",
        "warehouse": "duckdb",
        **other,
    }
    return Settings(**said)


@dataclass
class Day:
    """A shop's last day on its way.

    Attributes:
        settings: Whose copy.
        left_out: An expectation (``suite.measure``) that is not asked, to see who would miss it.
        step: Where the day is.
        details: What each finished step told.
    """

    settings: Settings
    left_out: str = ""
    step: str = "ingest"
    details: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def land(self) -> None:
        """``vitrine ingest --day``."""
        self.step = "ingest"
        receipt = ingest(self.settings, now=NOW, day=DAY)
        told = {**receipt.details, "rows_duplicate": receipt.rows_duplicate}
        self.details["ingest"] = told

    def check(self, group: str) -> None:
        """``vitrine check GROUP --day``."""
        self.step = f"check {group}"
        judge_day(self._tables(group), DAY, self.settings, key=group)

    def check_history(self, group: str) -> None:
        """``vitrine check GROUP --all``."""
        self.step = f"check {group} --all"
        judge_history(self._tables(group), self.settings, key=group)

    def build(self) -> None:
        """``vitrine build --day``: dbt's models and tests, the reconciliation, the marts."""
        self.step = "build"
        self.details["build"] = build_days(self.settings, [DAY]).details

    def _tables(self, group: str) -> list[Table]:
        suite, _, measure = self.left_out.partition(".")
        return [
            table if table.suite != suite else _without(table, measure)
            for table in resolve([group], self.settings)
        ]


def _without(table: Table, measure: str) -> Table:
    return replace(table, left_out=frozenset({measure}))


def bring_to_the_eve(settings: Settings) -> None:
    """Land and build everything before the last day."""
    ingest(settings, now=NOW, until=DAY)
    judge_history(resolve(["landed"], settings), settings, key="landed")
    build_all(settings)
    judge_history(resolve(["features"], settings), settings, key="features")
