"""Makes Airflow ready where ``vitrine up`` does not: its secrets, its database, its pool.

    python -m stack.prepare

Safe to repeat; to be run after every update of Vitrine, before Airflow's parts are started.
"""

import subprocess
import sys
from typing import Final

from domain.settings import Settings
from stack.boot import POOL, POOL_WHY
from stack.environment import prepare_airflow_home, process_environment
from stack.services import airflow_command, manifest_command, migrate_command

_POOL: Final = ("pools", "set", POOL, "1", POOL_WHY)


def main() -> None:
    """Run the commands to their ends; the first that fails ends it."""
    settings = Settings()
    prepare_airflow_home(settings)
    environment = process_environment(settings, mark="prepare")
    for command in (migrate_command(), manifest_command(), (airflow_command(), *_POOL)):
        ended = subprocess.run(command, env=environment, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
