"""``vitrine release``: gate → manifest → bundle → second check → ledger."""

from pathlib import Path
from typing import Annotated

import typer

from cli.command import finish, settings
from domain.progress import Progress
from domain.receipts import Receipt, Stopwatch

app = typer.Typer(add_completion=False)


@app.command()
def release(
    run: Annotated[
        str | None, typer.Option(help="A training run; default: the one trained last.")
    ] = None,
) -> None:
    """Let a trained run go live, if it is good enough.

    The gate compares it with the live release (or, before the first, with recent popularity) on the
    same users. What passes is bundled, booted as a real server and asked golden requests; then the
    ledger says that it is live. A refusal exits 1, is kept in the ledger, and changes nothing.
    """
    from functools import partial

    from bentos.recommender.golden import record
    from bentos.recommender.offline import recommend_as_of
    from domain.clock import wall_now
    from features.registry import whole_registry
    from features.store import registry_file
    from models.runs import find_run
    from release.promote import Serving, promote

    ours, watch = settings(), Stopwatch()
    address, registry = ours.online_address, registry_file(ours)
    if registry.exists() and not ours.registry:
        whole_registry(registry)  # What is damaged must not be sealed into a bundle.

    def goldens(folder: Path) -> list[object]:
        return list(record(folder, settings=ours, online_store=address))

    outcome = promote(
        ours,
        find_run(ours.runs, run),
        serving=Serving(
            recommend=partial(recommend_as_of, settings=ours),
            record=goldens,  # type: ignore[arg-type]
            registry=registry,
            online_store=address,
        ),
        now=wall_now(),
        progress=Progress(ours.progress_log, command="release"),
    )
    finish(
        Receipt(
            command="release",
            key=outcome.entry.release_id,
            seconds=watch.seconds,
            artifacts=(str(outcome.bundle),),
            details={
                "release_id": outcome.entry.release_id,
                "is_new": outcome.is_new,
                "verdict": list(outcome.verdict),
                "champion": outcome.entry.champion,
            },
        ),
        of=ours,
    )
