"""``vitrine features``: Feast's feature server, behind a token."""

import signal
from typing import Annotated

import typer

from cli.command import finish, require_free, settings
from domain.receipts import Receipt, Stopwatch

app = typer.Typer(add_completion=False)


@app.command()
def features(
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Default: VITRINE_FEATURE_PORT.")
    ] = None,
) -> None:
    """Serve features over HTTP: Feast's own API, for programs that are not Python.

    Reads (/get-online-features) want the read token, everything else the write token, as
    `Authorization: Bearer …`. Both are made once and stand in feast/tokens.json, which only its
    owner reads; VITRINE_FEATURE_READ_TOKEN and VITRINE_FEATURE_WRITE_TOKEN outrank them.
    """
    from features.server import serve

    ours, watch = settings(), Stopwatch()
    chosen = port or ours.feature_port
    require_free(ours.host, chosen)
    for sent in (signal.SIGINT, signal.SIGTERM):
        # The server ends on them, and raises them again once it has: nothing is left to do then.
        signal.signal(sent, lambda *_: None)
    typer.echo(f"http://{ours.host}:{chosen}", err=True)
    serve(ours, port=chosen)
    finish(Receipt(command="features", key=str(chosen), seconds=watch.seconds), of=ours)
