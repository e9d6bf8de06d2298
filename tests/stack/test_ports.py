"""A taken port is one sentence, before anything is started."""

import socket

import pytest

from domain.errors import BadInputError
from domain.settings import Settings
from stack.ports import Port, require_free, wanted_ports


def test_free_ports_pass() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]

    require_free([Port(free, "Airflow", "VITRINE_AIRFLOW_PORT")], host="127.0.0.1")


def test_a_taken_port_is_named_with_its_holder_and_the_way_out() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]

        with pytest.raises(BadInputError) as refused:
            require_free([Port(taken, "Airflow", "VITRINE_AIRFLOW_PORT")], host="127.0.0.1")

    sentence = str(refused.value)
    assert f"port {taken} for Airflow is taken" in sentence
    assert "VITRINE_AIRFLOW_PORT" in sentence
    assert "\n" not in sentence


def test_one_port_cannot_be_wanted_twice() -> None:
    settings = Settings(airflow_port=7198, mlflow_port=7198)

    with pytest.raises(BadInputError, match="7198 is wanted by Airflow and by MLflow"):
        require_free(wanted_ports(settings), host="127.0.0.1")
