"""Runs one command in the environment that the settings describe: a container's part of the shop.

    python -m stack.within airflow scheduler

``vitrine up`` starts all parts on one machine; where something else keeps them running (compose,
Kubernetes, systemd), each is started like this. ``python -m stack.prepare`` comes first, once.
"""

import os
import sys

from domain.settings import Settings
from stack.environment import process_environment


def main() -> None:
    """Become the command."""
    command = sys.argv[1:]
    if not command:
        raise SystemExit("say which command: python -m stack.within airflow scheduler")
    environment = process_environment(Settings(), mark=str(os.getpid()))
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main()
