"""The two tokens of the feature server: those asked for, else made once and kept in the home."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from domain.errors import BadInputError
from domain.files import exclusive, write_private
from domain.settings import Settings


@dataclass(frozen=True)
class Tokens:
    """``write`` opens everything, ``read`` what is a read."""

    read: SecretStr
    write: SecretStr


def token_file(settings: Settings) -> Path:
    """Where the generated tokens stand, readable by their owner alone."""
    return settings.feast / "tokens.json"


def find_tokens(settings: Settings) -> Tokens:
    """The tokens of this home.

    Raises:
        BadInputError: If one that is asked for is empty, or both are the same: a reader could
            write.
    """
    asked = {"read": settings.feature_read_token, "write": settings.feature_write_token}
    given = {name: token for name, token in asked.items() if token is not None}
    missing = asked.keys() - given.keys()
    kept = _kept(settings) if missing else {}
    tokens = Tokens(**{**{name: SecretStr(kept[name]) for name in missing}, **given})
    if not tokens.read.get_secret_value() or not tokens.write.get_secret_value():
        raise BadInputError("an empty feature token would let everybody in: leave it out")
    if tokens.read == tokens.write:
        raise BadInputError("the feature server's two tokens are the same: a reader could write")
    return tokens


def _kept(settings: Settings) -> dict[str, str]:
    path = token_file(settings)
    with exclusive(path.with_suffix(".lock")):
        if not path.exists():
            made = {name: secrets.token_urlsafe(32) for name in ("read", "write")}
            write_private(path, json.dumps(made, indent=2) + "\n")
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept
