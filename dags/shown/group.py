"""The dbt models as a group of tasks, drawn from dbt's manifest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from airflow.configuration import conf
from airflow.sdk import TaskGroup

from dags.shown.task import BuiltModel

DBT: Final = Path(__file__).parents[2] / "dbt"
MANIFEST: Final = Path(
    conf.get("vitrine", "manifest", fallback=str(DBT / "target" / "manifest.json"))
)
_SHOWN: Final = frozenset({"model", "seed", "snapshot"})


def dbt_models(*, built_by: str) -> TaskGroup:
    """A task for every dbt model, behind those it reads; each shows what became of it.

    Args:
        built_by: The task that runs ``vitrine build --run {{ run_id }}`` for them all.
    """
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"]
    shown = {name: node for name, node in nodes.items() if _is_built(node)}
    with TaskGroup("dbt", tooltip="One task for each dbt model; dbt itself runs once.") as group:
        tasks = {
            name: BuiltModel(
                task_id=node["name"],
                doc_md=_page(node),
                built_by=built_by,
                nodes=[name, *_tests_of(name, nodes)],
            )
            for name, node in shown.items()
        }
        for name, node in shown.items():
            for parent in node["depends_on"]["nodes"]:
                if parent in tasks:
                    tasks[parent] >> tasks[name]
    return group


def _is_built(node: Mapping[str, Any]) -> bool:
    is_shown = node["resource_type"] in _SHOWN
    return is_shown and node["config"].get("materialized") != "ephemeral"


def _tests_of(model: str, nodes: Mapping[str, Any]) -> list[str]:
    """The tests that a model must pass; one that stands alone belongs to all it reads."""
    tests = {name: node for name, node in nodes.items() if node["resource_type"] == "test"}
    return sorted(name for name, node in tests.items() if model in _tested(node))


def _tested(test: Mapping[str, Any]) -> list[str]:
    model = test.get("attached_node")
    return [model] if model else list(test["depends_on"]["nodes"])


def _page(node: Mapping[str, Any]) -> str:
    sql = node.get("raw_code", "")
    return f"{node.get('description', '')}\n\n```sql\n{sql}\n```\n{node['original_file_path']}"
