"""``vitrine status``: where the shop stands."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli import command
from domain.clock import wall_now

if TYPE_CHECKING:
    from rich.table import Table

    from stack.status import Status

app = typer.Typer(add_completion=False)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show the shop's last day and now, the rows of each hop, and what is live.

    Reads files only: nothing is started and no row is checked (that is `vitrine verify`).
    """
    from stack.status import status as look

    seen = look(command.settings(), wall=wall_now())
    if as_json:
        typer.echo(json.dumps(asdict(seen), default=str, sort_keys=True))
        return
    from rich.console import Console

    console = Console()
    console.print(_facts(seen))
    console.print(_rows(seen))


def _facts(seen: "Status") -> "Table":
    from rich.table import Table

    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    dirty = f"{len(seen.dirty_days)}" + (f", from {seen.dirty_days[0]}" if seen.dirty_days else "")
    facts.add_row("shop", f"{seen.source} ({seen.clock}) in {seen.home}")
    facts.add_row("last landed day", str(seen.last_date or "none yet: run vitrine ingest"))
    facts.add_row("the shop's now", f"{seen.now:%Y-%m-%d %H:%M} UTC")
    facts.add_row("days to rebuild", dirty)
    online = f"{seen.event_date}, version {seen.store_version}" if seen.event_date else "nothing"
    facts.add_row("online features", online)
    facts.add_row("last training run", seen.last_run or "none")
    facts.add_row("live release", _release(seen))
    return facts


def _release(seen: "Status") -> str:
    if seen.release is None:
        return "none"
    metrics = json.dumps(seen.release.get("metrics"), default=str)
    return f"{seen.release.get('release_id')}  {metrics if metrics != 'null' else ''}".strip()


def _rows(seen: "Status") -> "Table":
    from rich.table import Table

    rows = Table("hop", "table", "rows", title="Rows", title_justify="left")
    rows.columns[2].justify = "right"
    for hop, tables in seen.rows.items():
        for name, count in tables.items():
            rows.add_row(hop, name, f"{count:,}")
    return rows
