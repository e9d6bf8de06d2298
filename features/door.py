"""Who may pass to a server of features: an ASGI door that asks for a token.

``Authorization: Bearer <token>``. The write token opens everything, the read token what is a read.
No token, or one that nobody gave out: 401. The read token at a writer's door: 403. The token is
looked at and nowhere kept.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from features.tokens import Tokens

OPEN: Final = frozenset({"/health"})
"""Whether a server runs says nothing about anybody."""

READS: Final = frozenset({"/get-online-features", "/openapi.json", "/docs"})
"""What a reader may ask. Whatever else there is, known or not, is a writer's."""

_POLICY_VIOLATION: Final = 1008

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Door:
    """An ASGI application that lets in whom the tokens say, and hands them to another one."""

    def __init__(self, app: App, *, tokens: Tokens) -> None:
        self._app = app
        self._write = tokens.write.get_secret_value().encode()
        self._read = tokens.read.get_secret_value().encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or hand the call on. A server's start and end ask nobody."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        status = self._judge(str(scope["path"]), _shown(scope))
        if status == 200:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await _refuse(send, status)

    def _judge(self, path: str, shown: bytes) -> int:
        if path in OPEN or hmac.compare_digest(shown, self._write):
            return 200
        if not hmac.compare_digest(shown, self._read):
            return 401
        return 200 if path in READS else 403


def _shown(scope: MutableMapping[str, Any]) -> bytes:
    """The token of a call, empty if it shows none."""
    given = dict(scope["headers"]).get(b"authorization", b"")
    kind, _, token = given.partition(b" ")
    return token.strip() if kind.lower() == b"bearer" else b""


async def _refuse(send: Send, status: int) -> None:
    detail = {
        401: "show a token: Authorization: Bearer …",
        403: "this token reads; what you asked for is a write",
    }[status]
    body = json.dumps({"error": "refused", "detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
