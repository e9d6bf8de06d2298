"""The settings, as the environment of every process that ``vitrine up`` starts."""

import json
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from domain.files import write_private
from domain.settings import REPOSITORY, Settings
from stack.services import address
from warehouse.run import environment as dbt_environment

AIRFLOW_USER: Final = "admin"
PRIVATE: Final = frozenset(
    {"airflow_password", "airflow_database", "feature_read_token", "feature_write_token"}
)
"""Settings that no process needs to be told: an environment is easily shown."""

_DRIVERS: Final = {"sql_alchemy_conn": "psycopg2", "sql_alchemy_conn_async": "psycopg"}
"""Left alone, Airflow asks for asyncpg. Of psycopg's errors it does not know which is a lock that
another scheduler holds, so only what is asynchronous goes through it."""

MARK: Final = "VITRINE_UP"
"""Every process of one ``vitrine up`` carries its id in this variable, so that none is lost."""


def process_environment(settings: Settings, *, mark: str) -> dict[str, str]:
    """What every process sees: this environment, the settings spelled out, Airflow's own."""
    unwanted = {"PYTHONHOME", *(f"VITRINE_{name.upper()}" for name in PRIVATE)}
    inherited = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {
        **inherited,
        **shop_environment(settings),
        **dbt_environment(settings),
        **airflow_environment(settings),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "BENTOML_DO_NOT_TRACK": "True",
        "HF_HUB_OFFLINE": "1",
        MARK: mark,
    }


def shop_environment(settings: Settings) -> dict[str, str]:
    """The settings as ``VITRINE_…``, paths absolute: a task runs in a folder of its own."""
    values: dict[str, object] = settings.model_dump(exclude_none=True, exclude=set(PRIVATE))
    values["home"] = settings.root
    for name in ("data", "encoder"):
        if values.get(name):
            values[name] = Path(str(values[name])).expanduser().resolve()
    return {f"VITRINE_{name.upper()}": str(value) for name, value in values.items()}


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Airflow's configuration: one host, as many tasks at once as there are cores."""
    variables = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, entries in _airflow_options(settings).items()
        for name, value in entries.items()
    }
    return {"AIRFLOW_HOME": str(settings.airflow), **variables}


def _airflow_options(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    url = address(settings, settings.airflow_port)
    return {
        "core": _core_options(settings),
        "database": _database_options(settings),
        "api": {
            "host": settings.host,
            "port": settings.airflow_port,
            "base_url": url,
            "workers": 1,
            "expose_config": False,
        },
        # Airflow's own generated secret is shorter than its algorithm asks for.
        "api_auth": {"jwt_secret_cmd": shlex.join(["cat", str(secret_file(settings))])},
        "scheduler": {
            "scheduler_heartbeat_sec": 2,
            "enable_health_check": False,
            # A killed scheduler's tasks are taken over after seconds, not after five minutes.
            "scheduler_health_check_threshold": 20,
            "orphaned_tasks_check_interval": 20,
            "task_instance_heartbeat_timeout": 60,
        },
        "dag_processor": {
            "refresh_interval": 30,
            "parsing_processes": 1,
            "min_file_process_interval": 300,
        },
        "usage_data_collection": {"enabled": False},
        "vitrine": {
            "clock": settings.clock,
            "builds": settings.builds,
            "manifest": settings.cache / "dbt" / "target" / "manifest.json",
        },
    }


def _core_options(settings: Settings) -> Mapping[str, object]:
    url = settings.airflow_url or address(settings, settings.airflow_port)
    return {
        "dags_folder": REPOSITORY / "dags",
        "load_examples": False,
        "executor": "LocalExecutor",
        "parallelism": max(2, os.cpu_count() or 2),  # the default forks 32 workers
        "execution_api_server_url": f"{url}/execution/",
        "simple_auth_manager_users": f"{AIRFLOW_USER}:admin",
        "simple_auth_manager_passwords_file": password_file(settings),
    }


def _database_options(settings: Settings) -> Mapping[str, object]:
    """Where Airflow's metadata are: its own SQLite file, or the server named in a private file."""
    if settings.airflow_database is None:
        return {"sql_alchemy_conn": f"sqlite:///{settings.airflow / 'airflow.db'}"}
    return {
        f"{name}_cmd": shlex.join(["cat", str(path)])
        for name, path in database_files(settings).items()
    }


def database_files(settings: Settings) -> dict[str, Path]:
    """Airflow's option → the file that holds it, readable by its owner alone."""
    return {name: settings.airflow / name for name in _DRIVERS}


def password_file(settings: Settings) -> Path:
    """Where the password of the Airflow user stands, readable by its owner alone."""
    return settings.airflow / "passwords.json"


def secret_file(settings: Settings) -> Path:
    """Where the secret stands that signs Airflow's tokens, readable by its owner alone."""
    return settings.airflow / "token_secret"


def prepare_airflow_home(settings: Settings) -> str:
    """Make AIRFLOW_HOME with its secrets and its password; returns the password."""
    settings.airflow.mkdir(parents=True, exist_ok=True)
    if not secret_file(settings).exists():
        write_private(secret_file(settings), secrets.token_urlsafe(64))
    if settings.airflow_database is not None:
        _, _, place = settings.airflow_database.get_secret_value().partition("://")
        for name, path in database_files(settings).items():
            write_private(path, f"postgresql+{_DRIVERS[name]}://{place}")
    return airflow_password(settings)


def airflow_password(settings: Settings) -> str:
    """The Airflow user's password: the one asked for, else the one generated the first time."""
    path = password_file(settings)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if settings.airflow_password is not None:
        password = settings.airflow_password.get_secret_value()
    else:
        password = known.get(AIRFLOW_USER) or secrets.token_urlsafe(12)
    if known.get(AIRFLOW_USER) != password:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps({**known, AIRFLOW_USER: password}) + "\n")
    return password
