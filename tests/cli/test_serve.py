import socket

from typer.testing import CliRunner

from cli.main import vitrine
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
