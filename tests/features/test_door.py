"""The door asks the same of every path, also of those that nobody has thought of yet."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from features.door import OPEN, READS, Door
from features.tokens import Tokens

TOKENS = Tokens(read=SecretStr("reader"), write=SecretStr("writer"))
WRITES = (
    "/push",
    "/write-to-online-store",
    "/materialize",
    "/materialize-incremental",
    "/chat",
    "/search",
    "/v1/vector_stores",
    "/get-online-features/",
    "/GET-ONLINE-FEATURES",
    "//get-online-features",
    "/whatever-the-next-release-brings",
)


def call(path: str, authorization: str | None, *, kind: str = "http") -> list[dict]:
    """What the door sends, if the application behind it answers 200 to everybody."""
    sent: list[dict] = []

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    headers = [(b"authorization", authorization.encode())] if authorization else []
    scope = {"type": kind, "path": path, "headers": headers}
    asyncio.run(Door(behind, tokens=TOKENS)(scope, receive, send))
    return sent


def status(path: str, authorization: str | None) -> int:
    return call(path, authorization)[0]["status"]


@pytest.mark.parametrize("path", [*WRITES, *sorted(READS)])
@pytest.mark.parametrize(
    "shown", [None, "Bearer wrong", "Bearer", "Bearer ", "Basic writer", "writer", "Bearer Writer"]
)
def test_without_a_token_that_was_given_out_nothing_opens(path, shown):
    assert status(path, shown) == 401


@pytest.mark.parametrize("path", WRITES)
def test_a_reader_cannot_write(path):
    assert status(path, "Bearer reader") == 403
    assert status(path, "bearer writer") == 200


@pytest.mark.parametrize("path", sorted(READS))
def test_a_reader_can_read_and_so_can_a_writer(path):
    assert status(path, "Bearer reader") == status(path, "Bearer  writer") == 200


@pytest.mark.parametrize("path", sorted(OPEN))
def test_whether_it_runs_is_told_to_everybody(path):
    assert status(path, None) == 200


def test_a_web_socket_without_a_token_is_closed():
    assert call("/ws/chat", None, kind="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert call("/ws/chat", "Bearer reader", kind="websocket")[0]["type"] == "websocket.close"


def test_start_and_end_of_the_server_ask_nobody():
    assert call("", None, kind="lifespan")[0]["status"] == 200


def test_a_refusal_says_what_to_show_and_never_what_was_shown():
    start, body = call("/push", "Bearer hunter2")
    assert (b"www-authenticate", b"Bearer") in start["headers"]
    assert json.loads(body["body"])["error"] == "refused"
    assert b"hunter2" not in body["body"]
