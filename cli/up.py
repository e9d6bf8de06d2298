"""``vitrine up``: run the whole shop."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import command
from domain.errors import BadInputError, VitrineError
from domain.events import SHOP_SOURCES, Source
from domain.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def up(
    source: Annotated[
        str | None, typer.Option(help=f"Whose shop: {', '.join(SHOP_SOURCES)}. [VITRINE_SOURCE]")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder or file the source is read from. [VITRINE_DATA]")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="How the models are trained. [VITRINE_PRESET]")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End everything after one answered request.")
    ] = False,
) -> None:
    """Start Airflow, run the shop's Dags from raw files to a live release, and serve it.

    A second run continues where the first stopped: what is loaded, online or released already is
    not done again. Ctrl-C ends everything that was started. Exit codes: 0 the window was dressed;
    1 a step failed; 2 the source, a port or the home cannot be had (nothing was started then).
    """
    from rich.console import Console

    from stack.report import show
    from stack.up import bring_up

    console = Console()
    try:
        outcome = bring_up(_settings(source, data, preset), once=once, console=console)
    except KeyboardInterrupt:
        console.print("ended; run the same command again to continue", highlight=False)
        sys.exit(130)
    show(outcome, console=console)
    if outcome.error is not None:
        raise VitrineError(outcome.error.splitlines()[0])


def _settings(source: str | None, data: Path | None, preset: str | None) -> Settings:
    if source is not None and source not in SHOP_SOURCES:
        raise BadInputError(f"no source '{source}': expected one of {', '.join(SHOP_SOURCES)}")
    asked = {
        "source": Source(source) if source else None,
        "data": data.expanduser().resolve() if data else None,
        "preset": preset,
    }
    known = command.settings()
    return known.model_copy(update={name: value for name, value in asked.items() if value})
