"""``vitrine rollback``: an earlier release serves again."""

from typing import Annotated

import typer

from cli.command import finish, settings
from domain.receipts import Receipt, Stopwatch

app = typer.Typer(add_completion=False)


@app.command()
def rollback(
    why: Annotated[str, typer.Option(help="The reason, one sentence; kept in the ledger.")],
    to: Annotated[
        str | None, typer.Option(help="Which release; default: the one before the live one.")
    ] = None,
) -> None:
    """Make an earlier release live again: no training, no building.

    A running `vitrine serve` notices and restarts on it.
    """
    from domain.clock import wall_now
    from release.rollback import roll_back

    ours, watch = settings(), Stopwatch()
    entry = roll_back(ours.releases, to=to, why=why, now=wall_now())
    finish(
        Receipt(
            command="rollback",
            key=entry.release_id,
            seconds=watch.seconds,
            details={
                "release_id": entry.release_id,
                "instead_of": entry.champion,
                "why": entry.why,
            },
        ),
        of=ours,
    )
