"""What every command does the same way: read the settings, end with a receipt."""

import typer

from domain.receipts import Receipt, keep
from domain.settings import Settings


def settings() -> Settings:
    """The settings, from the environment."""
    return Settings()


def finish(receipt: Receipt, *, of: Settings) -> None:
    """Keep the receipt and print it as the command's last line."""
    keep(receipt, receipts=of.receipts)
    typer.echo(receipt.to_json())
