"""The settings, as the environment of every process that ``vitrine up`` starts."""

import json
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from domain.files import replacing_file
from domain.settings import REPOSITORY, Settings
from stack.services import address
from warehouse.run import environment as dbt_environment

AIRFLOW_USER: Final = "admin"
MARK: Final = "VITRINE_UP"
"""Every process of one ``vitrine up`` carries its id in this variable, so that none is lost."""


def process_environment(settings: Settings, *, mark: str) -> dict[str, str]:
    """What every process sees: this environment, the settings spelled out, Airflow's own."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
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
    values: dict[str, object] = settings.model_dump(exclude_none=True, exclude={"airflow_password"})
    values["home"] = settings.root
    for name in ("data", "encoder"):
        if values.get(name):
            values[name] = Path(str(values[name])).expanduser().resolve()
    return {f"VITRINE_{name.upper()}": str(value) for name, value in values.items()}


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Airflow's configuration: SQLite, one host, as many tasks at once as there are cores."""
    variables = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, entries in _airflow_options(settings).items()
        for name, value in entries.items()
    }
    return {"AIRFLOW_HOME": str(settings.airflow), **variables}


def _airflow_options(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    url = address(settings, settings.airflow_port)
    return {
        "core": {
            "dags_folder": REPOSITORY / "dags",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": max(2, os.cpu_count() or 2),  # the default forks 32 workers
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_users": f"{AIRFLOW_USER}:admin",
            "simple_auth_manager_passwords_file": password_file(settings),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{settings.airflow / 'airflow.db'}"},
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
        "cosmos": {
            "enable_telemetry": False,
            "propagate_logs": False,
            "cache_dir": settings.cache / "cosmos",
        },
        "vitrine": {
            "clock": settings.clock,
            "manifest": settings.cache / "dbt" / "target" / "manifest.json",
        },
    }


def password_file(settings: Settings) -> Path:
    """Where the password of the Airflow user stands, readable by its owner alone."""
    return settings.airflow / "passwords.json"


def secret_file(settings: Settings) -> Path:
    """Where the secret stands that signs Airflow's tokens, readable by its owner alone."""
    return settings.airflow / "token_secret"


def prepare_airflow_home(settings: Settings) -> str:
    """Make AIRFLOW_HOME with its secret and its password; returns the password."""
    settings.airflow.mkdir(parents=True, exist_ok=True)
    if not secret_file(settings).exists():
        _write_private(secret_file(settings), secrets.token_urlsafe(64))
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
        _write_private(path, json.dumps({**known, AIRFLOW_USER: password}) + "\n")
    return password


def _write_private(path: Path, text: str) -> None:
    with replacing_file(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")
