"""``vitrine build``: from landed rows to published marts."""

from typing import Annotated

import typer

from cli.command import finish, settings

app = typer.Typer(add_completion=False)


@app.command()
def build(
    day: Annotated[
        list[str] | None, typer.Option(help="A day to rebuild, YYYY-MM-DD; may be repeated.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Rebuild everything from the lake.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only decide which days dbt replaces; dbt runs next.")
    ] = False,
    publish_only: Annotated[
        bool, typer.Option("--publish-only", help="dbt has run: only reconcile and publish.")
    ] = False,
) -> None:
    """Run dbt for some days, count the rows, publish the marts as Parquet.

    Rebuilds exactly the days that are asked for and the days that ingest marked as dirty (late
    rows); without --day only the dirty ones. Ends with an error, and publishes nothing, when a
    dbt test fails or when landed rows are not events plus rejected events.
    """
    from domain.clock import parse_day
    from domain.errors import BadInputError
    from warehouse import build as warehouse

    of = settings()
    days = [parse_day(text) for text in day or []]
    if all_ + plan + publish_only > 1 or (all_ and days):
        raise BadInputError("--all, --plan, --publish-only and --day with --all exclude each other")
    if all_:
        receipt = warehouse.build_all(of)
    elif plan:
        receipt = warehouse.plan(of, days)
    elif publish_only:
        receipt = warehouse.publish_days(of, days)
    else:
        receipt = warehouse.build_days(of, days)
    finish(receipt, of=of)
