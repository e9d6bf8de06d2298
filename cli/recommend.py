"""``vitrine recommend``: the serving pipeline over many users at once."""

import logging
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.command import finish, settings
from domain.clock import parse_day
from domain.errors import BadInputError
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings

app = typer.Typer(add_completion=False)
logger = logging.getLogger(__name__)


class Task(StrEnum):
    """What may be recommended."""

    ANY = "any"
    NEW = "new"


@app.command()
def recommend(
    *,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    until: Annotated[str, typer.Option(help="First day whose events are not known, YYYY-MM-DD.")],
    release: Annotated[
        str | None,
        typer.Option(
            help="A release; default: the live one, or the run trained last if that one learned "
            "from days from --until on.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="A training run instead of a release.")] = None,
    users: Annotated[
        str, typer.Option(help="all: who has a history before that day. Or a file with user ids.")
    ] = "all",
    task: Annotated[Task, typer.Option(help="new: not what was bought.")] = Task.ANY,
    k: Annotated[int, typer.Option(min=1, max=1_000, help="Recommendations a user.")] = 10,
) -> None:
    """Write the k best items of many users: what a mailing needs.

    The same pipeline as the service, on features as they were known before --until. The file has
    user_id, item_id, score, rank. A file of users is CSV or Parquet with a column user_id, or text
    with one id a line.
    """
    import pyarrow.parquet as pq

    from bentos.recommender.offline import recommend_as_of
    from domain.files import replacing_file

    ours, watch, day = settings(), Stopwatch(), parse_day(until)
    listed = None if users == "all" else _listed(Path(users))
    folder = _folder(ours, release, run, known=day)
    wanted = listed or _everybody(ours, day)
    table = recommend_as_of(folder, wanted, settings=ours, task=task.value, k=k, until=day)
    with replacing_file(out) as aside:
        pq.write_table(table, aside, compression="zstd")
    finish(
        Receipt(
            command="recommend",
            key=f"{until}-{task.value}",
            seconds=watch.seconds,
            artifacts=(str(out),),
            details={"users": len(wanted), "recommendations": len(table), "from": str(folder)},
        ),
        of=ours,
    )


def _folder(ours: Settings, release: str | None, run: str | None, *, known: date) -> Path:
    """The folder that answers: nothing in it was learned from ``known`` on."""
    from domain.seal import require_sealed
    from models.runs import find_run
    from release.folder import RUN
    from release.ledger import live

    if release and run:
        raise BadInputError("name a release or a run, not both")
    if run:
        return find_run(ours.runs, run, known=known).folder
    entry = live(ours.releases)
    name = release or (entry.release_id if entry else None)
    if name is None:
        raise BadInputError("nothing is live yet: run vitrine release, or name a run with --run")
    if not (ours.releases / name).is_dir():
        raise BadInputError(f"no release {name} in {ours.releases}")
    require_sealed(ours.releases / name)
    try:
        return find_run(ours.releases / name, RUN, known=known).folder
    except BadInputError as hindsight:
        if release:
            raise
        logger.warning("the live release is not asked: %s", hindsight)
        return find_run(ours.runs, None, known=known).folder


def _everybody(ours: Settings, until: date) -> list[str]:
    import pyarrow.compute as pc

    from models.data import read_mart

    known = read_mart(ours.marts, "user_history", before=until)
    if len(known) == 0:
        raise BadInputError(f"nobody has a history before {until} in {ours.marts}")
    return sorted(pc.unique(known.column("user_id")).to_pylist())


def _listed(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    if not path.is_file():
        raise BadInputError(f"--users: no file {path}; expected 'all' or a file of user ids")
    try:
        if path.suffix == ".parquet":
            ids = pq.read_table(path, columns=["user_id"]).column("user_id").to_pylist()
        elif path.suffix == ".csv":
            options = csv.ConvertOptions(
                include_columns=["user_id"], column_types={"user_id": pa.string()}
            )
            ids = csv.read_csv(path, convert_options=options).column("user_id").to_pylist()
        else:
            ids = path.read_text(encoding="utf-8").splitlines()
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise BadInputError(f"--users: {path} cannot be read: {error}") from error
    listed = list(dict.fromkeys(str(user).strip() for user in ids if user is not None))
    listed = [user for user in listed if user]
    if not listed:
        raise BadInputError(f"--users: {path} holds no user ids")
    return listed
