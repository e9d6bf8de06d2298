"""Every port is looked at before anything is started: one sentence for each that is taken."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from domain.errors import BadInputError
from domain.settings import Settings


@dataclass(frozen=True)
class Port:
    """A port, who wants it, and the variable that chooses another."""

    number: int
    owner: str
    variable: str


def wanted_ports(settings: Settings) -> tuple[Port, ...]:
    """The ports that a running shop listens on."""
    return (
        Port(settings.airflow_port, "Airflow", "VITRINE_AIRFLOW_PORT"),
        Port(settings.serve_port, "the storefront", "VITRINE_SERVE_PORT"),
        Port(settings.mlflow_port, "MLflow", "VITRINE_MLFLOW_PORT"),
        Port(settings.docs_port, "the data docs", "VITRINE_DOCS_PORT"),
    )


def require_free(ports: Iterable[Port], *, host: str) -> None:
    """Refuse to start on a port that is taken, or wanted twice.

    Raises:
        BadInputError: With one sentence for every port that cannot be had.
    """
    broken = []
    seen: dict[int, Port] = {}
    for port in ports:
        if port.number in seen:
            other = seen[port.number]
            broken.append(
                f"port {port.number} is wanted by {other.owner} and by {port.owner}: "
                f"choose another with {port.variable}"
            )
        elif not _is_free(host, port.number):
            broken.append(
                f"port {port.number} for {port.owner} is taken{_taken_by(port.number)}: "
                f"free it, or choose another with {port.variable}"
            )
        seen[port.number] = port
    if broken:
        raise BadInputError("; ".join(broken))


def _is_free(host: str, number: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A port that a process left a moment ago is free for us, as it is for the servers.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True


def _taken_by(number: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr.port == number and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return ""
    return ""
