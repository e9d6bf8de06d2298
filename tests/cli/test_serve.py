import os
import signal
import socket

import pytest
from typer.testing import CliRunner

from cli.main import vitrine
from cli.serve import set_when_asked_to_end
from domain.errors import BadInputError
from release.server import free_port


def serve(*arguments: str):
    return CliRunner().invoke(vitrine, ["serve", *arguments])


def test_before_the_first_release_it_says_what_to_do():
    result = serve("--port", str(free_port()))
    assert isinstance(result.exception, BadInputError)
    assert "run vitrine release first" in str(result.exception)


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = serve("--port", port)
    assert isinstance(result.exception, BadInputError)
    assert f"port {port}" in str(result.exception)


def test_a_port_out_of_range_is_wrong_usage():
    assert serve("--port", "70000").exit_code == 2


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_waiting_does_not_wait_for_itself(sent):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = set_when_asked_to_end()
        with stop._cond:  # Where ``stop.wait`` is for an instant each time it is called.
            os.kill(os.getpid(), sent)
        assert stop.wait(10)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
