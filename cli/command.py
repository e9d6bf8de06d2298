"""What every command does the same way: read the settings, end with a receipt."""

import socket
from datetime import date, timedelta

import typer
from pydantic import ValidationError

from domain.clock import read_last_date
from domain.errors import BadInputError
from domain.receipts import Receipt, keep
from domain.settings import Settings


def settings() -> Settings:
    """The settings, from the environment.

    Raises:
        BadInputError: If a variable cannot be used; what it holds may be a secret, and is not said.
    """
    try:
        return Settings()
    except ValidationError as error:
        said = "; ".join(f"VITRINE_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise BadInputError(said) from None


def day_after_last(of: Settings) -> date:
    """The first day of which nothing has landed.

    Raises:
        BadInputError: If nothing has landed at all.
    """
    last = read_last_date(of.lake)
    if last is None:
        raise BadInputError(f"nothing has landed in {of.lake} yet: run vitrine ingest first")
    return last + timedelta(days=1)


def require_free(host: str, port: int) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        BadInputError: Naming it.
    """
    with socket.socket() as probe:
        # As the server does: a port that only waits out its last connection is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInputError(f"port {port} on {host} is taken: {error.strerror}") from error


def finish(receipt: Receipt, *, of: Settings) -> None:
    """Keep the receipt and print it as the command's last line."""
    keep(receipt, receipts=of.receipts)
    typer.echo(receipt.to_json())
