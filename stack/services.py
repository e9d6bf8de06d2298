"""What runs while a shop is up, as commands."""

import sys
from pathlib import Path
from typing import Final

from domain.settings import Settings
from stack.supervisor import Service

_BIN: Final = Path(sys.executable).parent


def loopback(settings: Settings) -> str:
    """The host to reach our own services at: a server that listens everywhere is here, too."""
    return "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host


def address(settings: Settings, port: int) -> str:
    """The address of a service of ours."""
    return f"http://{loopback(settings)}:{port}"


def airflow_command() -> str:
    """This environment's ``airflow``."""
    return str(_BIN / "airflow")


def migrate_command() -> tuple[str, ...]:
    """Creates or updates Airflow's database."""
    return (airflow_command(), "db", "migrate")


def manifest_command() -> tuple[str, ...]:
    """Writes dbt's manifest, from which the Dag ``build_features`` draws its tasks."""
    code = (
        "from domain.settings import Settings; from warehouse.run import parse; parse(Settings())"
    )
    return (sys.executable, "-c", code)


def airflow_services() -> tuple[Service, ...]:
    """Airflow's four parts, each on its own: ``airflow standalone`` restarts none of them.

    Logs are read from disk by the API server, so nobody needs to serve them on two more ports.
    Dag files are read, again and again, when the day's work leaves time for it.
    """
    airflow = airflow_command()
    return (
        Service("api-server", (airflow, "api-server")),
        Service("scheduler", (airflow, "scheduler", "--skip-serve-logs")),
        Service("dag-processor", (airflow, "dag-processor"), niceness=10),
        Service("triggerer", (airflow, "triggerer", "--skip-serve-logs")),
    )


def reading_services(settings: Settings) -> tuple[Service, ...]:
    """Where people read what was measured: MLflow, and the data docs and reports."""
    settings.mlflow.mkdir(parents=True, exist_ok=True)
    mlflow = (
        str(_BIN / "mlflow"),
        "server",
        *("--backend-store-uri", f"sqlite:///{settings.mlflow / 'mlflow.db'}"),
        *("--default-artifact-root", (settings.mlflow / "artifacts").as_uri()),
        *("--host", settings.host, "--port", str(settings.mlflow_port), "--workers", "1"),
    )
    return (
        Service(
            "data-docs",
            (sys.executable, "-m", "stack.static"),
            url=address(settings, settings.docs_port),
        ),
        Service("mlflow", mlflow, url=f"{address(settings, settings.mlflow_port)}/health"),
    )


def storefront_service(settings: Settings) -> Service:
    """The live bundle, answering."""
    return Service(
        "storefront",
        (str(_BIN / "vitrine"), "serve"),
        url=f"{address(settings, settings.serve_port)}/readyz",
        start_s=180,
    )
