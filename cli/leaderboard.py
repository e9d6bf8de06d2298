"""``vitrine leaderboard``: models on a published set, each of which can be made again."""

from pathlib import Path
from typing import Annotated

import typer

from cli.command import finish, settings

app = typer.Typer(add_completion=False)


@app.command()
def leaderboard(
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the set: interactions.parquet and items.parquet."),
    ] = None,
    add: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Train MODEL twice and enter it.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="ENTRY", help="Run ENTRY again; refuse it if it differs.")
    ] = None,
    preset: Annotated[str, typer.Option(help="With --add: whose settings.")] = "base",
    seed: Annotated[int, typer.Option(help="With --add: of what is drawn at random.")] = 7,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="With --add: settings that differ from the preset's, as vitrine tune writes them.",
        ),
    ] = None,
    board: Annotated[
        Path | None, typer.Option(help="Folder of the entries. Default: leaderboard in the home.")
    ] = None,
    author: Annotated[str, typer.Option(help="With --add: who says so.")] = "",
) -> None:
    """Show the leaderboard, enter a model, or run an entry again.

    The protocol is frozen: leave-one-out on the set, full ranking, ties against the model, every
    user counts. An entry is taken only if a second run from a clean state agrees with the first.
    """
    from dataclasses import replace

    from domain.errors import BadInputError
    from domain.receipts import Receipt, Stopwatch
    from models import leaderboard as boards
    from models.retrieval.settings_file import read_content

    of, watch = settings(), Stopwatch()
    board = board or of.root / "leaderboard"
    if (add or check) and data is None:
        raise BadInputError("name the set with --data FOLDER")
    if add and not author:
        raise BadInputError("say who enters it with --author NAME")
    done = []
    if add and data is not None:
        asked = boards.Asked(add, preset, seed, cache=of.cache)
        if settings_file is not None:
            content = read_content(settings_file, model=add)
            asked = replace(asked, settings=content, label=settings_file.stem)
        entered = boards.add(board, data, asked, author=author)
        done.append(entered.name)
    if check and data is not None:
        done.append(boards.check(board, data, check, cache=of.cache).name)
    found = boards.entries(board)
    artifacts: tuple[str, ...] = ()
    if found:
        page = board / "leaderboard.html"
        page.write_text(boards.page(found), encoding="utf-8")
        artifacts = (str(page),)
    typer.echo("\n".join(boards.table(found)) if found else "no entry yet: --add MODEL --data …")
    finish(
        Receipt(
            command="leaderboard",
            key=done[0] if done else "show",
            rows_in=len(found),
            rows_out=len(found),
            seconds=watch.seconds,
            artifacts=artifacts,
            details={"protocol": boards.PROTOCOL, "done": done},
        ),
        of=of,
    )
