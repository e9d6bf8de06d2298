"""``vitrine verify``: prove from what is on disk that nothing was lost."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from cli import command
from domain.errors import ReconciliationError
from domain.progress import Progress
from domain.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    features: Annotated[
        bool, typer.Option("--features", help="Prove the features' values instead.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="With --features: how many are asked.")] = 10_000,
    seed: Annotated[int, typer.Option(help="With --features: which ones.")] = 7,
) -> None:
    """Recompute, hop by hop, that nothing was lost.

    Lake: every day's files against the ledger, rows in = landed + duplicate + quarantined, and the
    content's hash. Marts: every landed id is in events or in rejected_events, once. Online store:
    every user's and item's newest published row is what a request would read. Then: nothing that
    a killed run left behind. Exits 1 and names the first break.

    With --features: random (user, item, moment) rows of Feast's point-in-time join against a brute
    force over the raw events, then every value of the online store against that join.
    """
    from stack.verify import first_break
    from stack.verify import verify as recompute

    settings = command.settings()
    if features:
        from stack.verify_features import verify_features

        hops = verify_features(settings, rows=rows, seed=seed, progress=_told(settings))
    else:
        hops = recompute(settings)
    broken = first_break(hops)
    if as_json:
        content = {"ok": broken is None, "hops": [asdict(hop) for hop in hops]}
        typer.echo(json.dumps(content, default=str, sort_keys=True))
    else:
        for hop in hops:
            typer.echo(f"{hop.name:<14} {hop.state:<9} {hop.said}")
            for found in hop.breaks[:20]:
                typer.echo(f"    {found}")
            if len(hop.breaks) > 20:
                typer.echo(f"    … and {len(hop.breaks) - 20} more")
    if broken is not None:
        raise ReconciliationError(str(broken))


def _told(settings: Settings) -> Callable[..., None]:
    """Progress for whoever follows the home's log, and for who typed the command."""
    log = Progress(settings.progress_log, command="verify")

    def tell(
        stage: str, message: str, *, done: int | None = None, total: int | None = None
    ) -> None:
        log(stage, message, done=done, total=total)
        count = "" if done is None else f" {done:,} of {total:,}"
        typer.echo(f"{stage}: {message}{count}", err=True)

    return tell
