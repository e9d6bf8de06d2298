"""A dbt model as an Airflow task: the scheduler hands it straight to the triggerer."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import StartTriggerArgs

from dags.shown.trigger import ModelTrigger


class BuiltModel(BaseOperator):
    """Shows one dbt model: green, red or skipped as it and its tests are."""

    start_from_trigger = True
    ui_color = "#ffe4d6"

    def __init__(self, *, built_by: str, nodes: Sequence[str], **kwargs: Any) -> None:
        """Args are those of any task, and two more.

        Args:
            built_by: The task that runs dbt.
            nodes: The model and its tests, as dbt names them.
            **kwargs: Of ``BaseOperator``.
        """
        # Not behind the models it reads: the build decides their order. The next try is the
        # build's, too, and the trigger waits for it.
        super().__init__(trigger_rule="always", retries=0, **kwargs)
        self.built_by = built_by
        self.nodes = list(nodes)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=ModelTrigger.classpath(),
            trigger_kwargs={"built_by": built_by, "nodes": self.nodes},
            next_method="execute",
        )

    def execute(self, context: Context) -> None:
        """Wait in the triggerer; called where a worker runs the task all the same."""
        trigger = ModelTrigger(built_by=self.built_by, nodes=self.nodes)
        self.defer(trigger=trigger, method_name="execute")
