"""The last proof: ask the running shop for one user's window, as an app would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from domain.errors import VitrineError


@dataclass(frozen=True)
class Window:
    """What one user was shown."""

    user_id: str
    release_id: str
    degraded_reason: str
    items: tuple[Mapping[str, Any], ...]


def dress(url: str, *, k: int = 10) -> Window:
    """Ask for k recommendations for the first user that the storefront offers.

    Raises:
        VitrineError: If the service does not answer with items.
    """
    with httpx.Client(base_url=url, timeout=30) as client:
        try:
            user_id = _first_user(client)
            answer = client.post("/recommend", json={"user_id": user_id, "k": k})
            answer.raise_for_status()
            content = answer.json()
        except httpx.HTTPError as error:
            raise VitrineError(f"the shop at {url} does not answer: {error}") from error
    if not content["items"]:
        raise VitrineError(f"the shop at {url} has nothing to show to user {user_id}")
    return Window(
        user_id=user_id,
        release_id=content["release_id"],
        degraded_reason=content.get("degraded_reason") or "",
        items=tuple(content["items"]),
    )


def _first_user(client: httpx.Client) -> str:
    answer = client.get("/users", params={"limit": 1})
    answer.raise_for_status()
    content = answer.json()
    users = content["users"] if isinstance(content, dict) else content
    first = users[0]
    return str(first["user_id"] if isinstance(first, dict) else first)
