"""``vitrine check``: is the data fit to move on, and would anybody notice if it were not?"""

from typing import Annotated

import typer

from cli.command import finish, settings

app = typer.Typer(add_completion=False)


@app.command()
def check(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tables (simulated.events, user_features …) or groups: landed, features, examples."
        ),
    ] = None,
    *,
    day: Annotated[
        str | None,
        typer.Option(help="The day to judge, YYYY-MM-DD. Default: the last landed day."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--all", help="Judge every day at once; up to 1 % odd days are only listed."),
    ] = False,
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="WHY", help="With --day: it was looked at and is right. It passes from now on."
        ),
    ] = None,
    mutate: Annotated[
        str | None,
        typer.Option(help="Spoil a copy of a good day by this fault (or: all); who notices it?"),
    ] = None,
    ablate: Annotated[
        bool,
        typer.Option("--ablate", help="With --mutate all: take each rule away; is it missed?"),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the faults and who must notice each.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --mutate or --list: JSON, for programs.")
    ] = False,
) -> None:
    """Judge a day's volume, ranges, freshness and drift; exit 1 and say what broke.

    The bounds and the reasons for them are in quality/suites; what was found is drawn as data docs;
    every rule stands in docs/data-rules.md. With --mutate no data of the shop is read: a small
    shop is simulated, and a fault is planted in a copy of its last day.
    """
    from domain import accepted_days
    from domain.clock import parse_day
    from domain.errors import BadInputError
    from domain.progress import Progress

    if list_ or mutate:
        return _mutate(mutate, ablate=ablate, as_json=as_json)
    if not tables:
        raise BadInputError("say which tables: landed, features, examples, or one by name")
    if ablate or as_json:
        raise BadInputError("--ablate and --json need --mutate")
    if accept is not None and not (day and accept.strip()):
        raise BadInputError("--accept needs a --day, and a reason that others will understand")
    if day and whole:
        raise BadInputError("--day and --all exclude each other")
    from quality.check import check_day, check_history

    shop = settings()
    progress = Progress(shop.progress_log, command="check")
    if whole:
        return finish(check_history(tables, shop, progress=progress), of=shop)
    until = parse_day(day) if day else None
    if until and accept:
        accepted_days.accept(shop.lake, {until: accept.strip()})
    return finish(check_day(tables, until, shop, progress=progress), of=shop)


def _mutate(name: str | None, *, ablate: bool, as_json: bool) -> None:
    from stack.mutate import report

    if name is None:
        return typer.echo(report.listing(as_json=as_json))
    shop = settings()
    receipt = report.campaign(name, shop, ablate=ablate, say=None if as_json else typer.echo)
    finish(receipt, of=shop)
    return report.refuse_unseen(receipt)
