"""``vitrine check``: is the data fit to move on?"""

from typing import Annotated

import typer

from cli.command import finish, settings

app = typer.Typer(add_completion=False)


@app.command()
def check(
    tables: Annotated[
        list[str],
        typer.Argument(
            help="Tables (simulated.events, user_features …) or groups: landed, features, examples."
        ),
    ],
    day: Annotated[
        str | None,
        typer.Option(help="The day to judge, YYYY-MM-DD. Default: the last landed day."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--all", help="Judge every day at once; up to 1 % odd days are only listed."),
    ] = False,
) -> None:
    """Judge a day's volume, ranges, freshness and drift; exit 1 and say what broke.

    The bounds and the reasons for them are in quality/suites; what was found is drawn as data docs.
    """
    from domain.clock import parse_day
    from domain.errors import BadInputError
    from domain.progress import Progress
    from quality.check import check_day, check_history

    if day and whole:
        raise BadInputError("--day and --all exclude each other")
    shop = settings()
    progress = Progress(shop.progress_log, command="check")
    if whole:
        finish(check_history(tables, shop, progress=progress), of=shop)
    else:
        until = parse_day(day) if day else None
        finish(check_day(tables, until, shop, progress=progress), of=shop)
