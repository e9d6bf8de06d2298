"""``vitrine serve``: the live bundle, with its workers, following the ledger."""

import signal
import threading
from queue import SimpleQueue
from typing import Annotated

import typer

from cli.command import finish, require_free, settings
from domain.receipts import Receipt, Stopwatch

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    release: Annotated[
        str | None, typer.Option(help="A release to hold on to; default: whatever is live.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Default: VITRINE_SERVE_PORT.")
    ] = None,
) -> None:
    """Serve the live release: storefront, API, metrics.

    Boots the exported bundle, exactly as another machine would, and restarts on the new one when
    the ledger changes. Ctrl-C ends everything it started.
    """
    from release.follow import Place, follow

    ours, watch = settings(), Stopwatch()
    place = Place(ours.host, port or ours.serve_port, ours.online_address)
    require_free(place.host, place.port)
    stop = set_when_asked_to_end()
    typer.echo(f"http://{place.host}:{place.port}", err=True)
    follow(ours, place, release_id=release, stop=stop)
    finish(Receipt(command="serve", key=str(place.port), seconds=watch.seconds), of=ours)


def set_when_asked_to_end() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set, by way of a thread.

    A handler runs inside whatever the main thread is doing. If that is ``Event.wait`` with the
    event's own lock in hand, ``Event.set`` there waits for it for ever; a ``SimpleQueue`` may be
    put to from anywhere.
    """
    stop = threading.Event()
    heard: SimpleQueue[int] = SimpleQueue()

    def pass_on() -> None:
        heard.get()
        stop.set()

    threading.Thread(target=pass_on, name="asked-to-end", daemon=True).start()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, lambda number, _: heard.put(number))
    return stop
