"""``vitrine verify``: prove from what is on disk that nothing was lost."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli import command
from domain.errors import ReconciliationError

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Recompute, hop by hop, that nothing was lost.

    Lake: every day's files against the ledger, rows in = landed + duplicate + quarantined, and the
    content's hash. Marts: every landed id is in events or in rejected_events, once. Online store:
    every user's and item's newest published row is what a request would read. Then: nothing that
    a killed run left behind. Exits 1 and names the first break.
    """
    from stack.verify import first_break
    from stack.verify import verify as recompute

    hops = recompute(command.settings())
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
