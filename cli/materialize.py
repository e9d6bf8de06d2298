"""``vitrine materialize``: copy feature values to the online store."""

from typing import Annotated

import typer

from cli.command import finish, settings

app = typer.Typer(add_completion=False)


@app.command()
def materialize(
    day: Annotated[
        str | None,
        typer.Option(help="The last day to bring online, YYYY-MM-DD. Default: the last built day."),
    ] = None,
) -> None:
    """Copy the newest feature values, up to the end of a day, to the online store.

    Only what changed since the last time is written, an older value never over a newer one, and
    every written row is read back. Safe to repeat.
    """
    from domain.clock import parse_day
    from domain.progress import Progress
    from features.materialize import materialize as bring_online

    shop = settings()
    until = parse_day(day) if day else None
    progress = Progress(shop.progress_log, command="materialize")
    finish(bring_online(shop, until, progress=progress), of=shop)
