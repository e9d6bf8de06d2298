"""Every rule that judges a row or a day, read from where it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import yaml

from domain.settings import REPOSITORY
from ingest import rules as ingest_rules
from quality.tables import SUITES, measure_of, suite

DBT: Final = REPOSITORY / "dbt" / "models"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: As an error or a quarantined row names it.
        asks: What must hold, for a reader.
        why: What a break means.
        place: The file in which it stands.
    """

    name: str
    asks: str
    why: str
    place: str


def quarantine_rules() -> list[Rule]:
    """Of ingest: one row that cannot be an event, a user or an item."""
    return [
        Rule(rule.__name__, (rule.__doc__ or "").strip(), "", "ingest/rules.py")
        for rule in ingest_rules.RULES
    ]


def named_rules() -> list[Rule]:
    """Of dbt: one landed row that becomes no event. The mart's description explains each."""
    content = yaml.safe_load((DBT / "marts" / "rejected_events.yml").read_text(encoding="utf-8"))
    told = " ".join(content["models"][0]["description"].split())
    explained = re.findall(r"(\w+) \(((?:[^()]|\([^()]*\))*)\)", told)
    return [
        Rule(name, text, "", "dbt/models/marts/rejected_events.yml") for name, text in explained
    ]


def dbt_tests() -> list[Rule]:
    """Tests of dbt, of what it built."""
    return [rule for path in sorted(DBT.rglob("*.yml")) for rule in _tests_of(path)]


def _tests_of(path: object) -> Iterator[Rule]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    place = str(path.relative_to(REPOSITORY))  # type: ignore[attr-defined]
    for model in content["models"]:
        for column in ({"name": ""}, *model.get("columns", ())):
            holder = column if column["name"] else model
            for test in holder.get("data_tests", ()):
                ((kind, said),) = test.items()
                yield Rule(said["name"], _asked(kind, said.get("arguments", {}), column), "", place)


def _asked(kind: str, arguments: dict[str, object], column: dict[str, str]) -> str:
    name = column["name"]
    if kind == "unique_grain":
        columns = arguments["columns"]
        return f"one row per {', '.join(columns)}"  # type: ignore[arg-type]
    if kind == "accepted_values":
        values = arguments["values"]
        return f"{name} is one of {', '.join(map(str, values))}"  # type: ignore[call-overload]
    if kind == "relationships":
        return f"{name} stands in {arguments['to']}"
    return str(arguments["condition"])


def expectations() -> list[Rule]:
    """Of Great Expectations: one day of a table, before it crosses a border."""
    return [rule for name in SUITES for rule in _expectations_of(name)]


def _expectations_of(name: str) -> Iterator[Rule]:
    for one in suite(name).EXPECTATIONS:
        measure = measure_of(one)
        asks = f"{measure} in [{_bound(one.min_value)}, {_bound(one.max_value)}]"
        yield Rule(f"{name}.{measure}", asks, str(one.notes or ""), f"quality/suites/{name}.py")


def _bound(value: object) -> str:
    return "…" if value is None else f"{value:,.10g}" if isinstance(value, float) else str(value)


def takeable() -> list[str]:
    """The rules that can be taken away: every expectation and every dbt test."""
    return [rule.name for rule in (*expectations(), *dbt_tests())]
