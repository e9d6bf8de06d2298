"""``vitrine``: one group, one module a command, imported when asked for.

Logs go to standard error; a command's last line on standard output is its receipt (JSON).
Exit codes: 0 done, 1 refused (data, gate, reconciliation …), 2 wrong usage or bad input.
"""

import importlib
import logging
import sys
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from domain.disk import full_disk
from domain.errors import BadInputError, VitrineError

COMMANDS: Final = {
    "up": "cli.up",
    "ingest": "cli.ingest",
    "check": "cli.check",
    "build": "cli.build",
    "materialize": "cli.materialize",
    "tune": "cli.tune",
    "train": "cli.train",
    "evaluate": "cli.evaluate",
    "leaderboard": "cli.leaderboard",
    "release": "cli.release",
    "rollback": "cli.rollback",
    "recommend": "cli.recommend",
    "serve": "cli.serve",
    "features": "cli.features",
    "status": "cli.status",
    "verify": "cli.verify",
}
"""command → module with a ``typer.Typer`` named ``app`` that holds exactly one command."""


class LazyGroup(TyperGroup):
    """Imports a command's module only when that command is used: airflow alone takes 4 s.

    Built on typer's own classes: typer carries a click of its own, and a group of the other click
    does not catch what its commands raise (``--help`` and wrong usage ended in a traceback).
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands, in the order of the shop's day."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None for "no such command"."""
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name]).app)
        command.name = cmd_name
        return command


vitrine = typer.Typer(
    cls=LazyGroup,
    name="vitrine",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"vitrine {version('vitrine')}")
        raise typer.Exit


@vitrine.callback()
def start(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every decision, not only warnings.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None:
    """Turn a shop's events into a window dressed for each user."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run ``vitrine``; a refusal is one sentence on standard error and an exit code."""
    try:
        vitrine()
    except Exception as error:
        if said := full_disk(error):
            typer.echo(f"vitrine: {said}", err=True)
            sys.exit(1)
        if isinstance(error, BadInputError):
            typer.echo(f"vitrine: {error}", err=True)
            sys.exit(2)
        if isinstance(error, VitrineError):
            typer.echo(f"vitrine: {type(error).__name__}: {error}", err=True)
            sys.exit(1)
        raise
