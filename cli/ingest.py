"""``vitrine ingest``: land a shop's rows, and what its storefront logged."""

from pathlib import Path
from typing import Annotated

import typer

from cli import command
from domain.clock import parse_day, wall_now
from domain.errors import BadInputError
from domain.events import SHOP_SOURCES, Source
from domain.progress import Progress
from domain.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def ingest(
    source: Annotated[
        str | None, typer.Option(help=f"Whose shop: {', '.join(SHOP_SOURCES)}. [VITRINE_SOURCE]")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder or file the source is read from. [VITRINE_DATA]")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Land every day there is.")] = False,
    until: Annotated[
        str | None, typer.Option(help="First day of the history not to land (YYYY-MM-DD).")
    ] = None,
    day: Annotated[str | None, typer.Option(help="Land exactly this day (YYYY-MM-DD).")] = None,
) -> None:
    """Land a shop's rows, one folder a day, and what its storefront logged on these days.

    Unfit rows go to lake/quarantine with the reason, repeated ones are counted: rows in = landed +
    duplicate + quarantined, for every day. A history skips the days that are already landed; --day
    replaces exactly that day, and earlier days that got late rows. A day the source has no rows
    for lands empty.
    """
    if history == (day is not None) or (until is not None and not history):
        raise BadInputError("say --history [--until DAY] or --day DAY")
    from ingest.run import ingest as run

    settings = _settings(source, data)
    receipt = run(
        settings,
        now=wall_now(),
        day=parse_day(day) if day else None,
        until=parse_day(until) if until else None,
        progress=Progress(settings.progress_log, command="ingest"),
    )
    command.finish(receipt, of=settings)


def _settings(source: str | None, data: Path | None) -> Settings:
    known = command.settings()
    if source is not None and source not in SHOP_SOURCES:
        raise BadInputError(f"no source '{source}': expected one of {', '.join(SHOP_SOURCES)}")
    asked = {"source": Source(source) if source else None, "data": data}
    return known.model_copy(update={name: value for name, value in asked.items() if value})
