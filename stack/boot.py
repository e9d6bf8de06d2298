"""Brings Airflow up: database, Dags, pool; checks first, so that nothing is left half done."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from domain.errors import BadInputError, VitrineError
from domain.settings import Settings
from stack.airflow_api import AirflowApi
from stack.environment import AIRFLOW_USER, prepare_airflow_home
from stack.services import address, airflow_services, manifest_command, migrate_command
from stack.supervisor import Service, Supervisor
from stack.waiting import wait_until

DAGS: Final = frozenset({"load_history", "ingest_events", "build_features", "train_models"})
POOL: Final = "warehouse"
POOL_WHY: Final = "DuckDB has one writer: one task at a time."


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the home: two stacks over one state would race for its ports and its warehouse.

    Raises:
        BadInputError: If another ``vitrine up`` holds it.
    """
    path = settings.root / "logs" / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInputError(f"vitrine up is already running for {settings.root}") from error
        yield


def boot_airflow(settings: Settings, supervisor: Supervisor) -> AirflowApi:
    """Start Airflow and return once it is healthy, knows our Dags and may run them.

    Raises:
        VitrineError: If a part does not stay up, or a Dag file cannot be read.
    """
    password = prepare_airflow_home(settings)
    url = address(settings, settings.airflow_port)
    api = AirflowApi(url, user=AIRFLOW_USER, password=password)
    supervisor.run_together({"migrate": migrate_command(), "dbt-parse": manifest_command()})
    for service in airflow_services():
        supervisor.start(service)
    _await(supervisor, api.is_healthy, what="Airflow", timeout_s=180)
    api.make_pool(POOL, slots=1, description=POOL_WHY)
    _await(supervisor, lambda: api.has_dags(DAGS), what="Airflow's Dags", timeout_s=120)
    for dag_id in sorted(DAGS):
        api.unpause(dag_id)
    return api


def start_and_await(supervisor: Supervisor, service: Service) -> None:
    """Start a service and wait until its address answers 200.

    Raises:
        VitrineError: If it does not, with the last lines it wrote.
    """
    supervisor.start(service)
    _await(supervisor, lambda: _answers(service.url), what=service.name, timeout_s=service.start_s)


def _await(
    supervisor: Supervisor, is_true: Callable[[], bool], *, what: str, timeout_s: float
) -> None:
    def is_so() -> bool:
        supervisor.require_running()
        return is_true()

    if not wait_until(is_so, timeout_s=timeout_s):
        raise VitrineError(f"{what} is not ready after {timeout_s:.0f} s: see {supervisor.logs}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
