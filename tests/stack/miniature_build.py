"""``vitrine build --day D --run R`` over the miniature, which has no lake to plan and to count.

dbt, our way to run it and what it tells are real. A file ``hold`` in the folder ``TOLD`` keeps the
build after the first model, until that file is gone.
"""

import argparse
import os
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

from domain.errors import VitrineError
from domain.node_results import NodeResult, NodeResults, results_file
from domain.progress import silent
from domain.settings import Settings
from warehouse.plan import Plan
from warehouse.run import build


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--day", type=date.fromisoformat)
    parser.add_argument("--run")
    asked = parser.parse_args()
    os.environ["DAY"] = str(asked.day)
    settings, hold = Settings(), Path(os.environ["TOLD"]) / "hold"
    results = NodeResults(results_file(settings.builds, asked.run), now=datetime.now(UTC))

    def tell(result: NodeResult) -> None:
        results(result)
        while hold.exists():
            time.sleep(0.1)

    plan = Plan((asked.day,), (asked.day,), asked.day, asked.day, is_full=False)
    try:
        build(settings, plan, progress=silent, tell=tell)
    except VitrineError as error:
        sys.exit(f"vitrine: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
