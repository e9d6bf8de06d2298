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
    run: Annotated[
        str | None, typer.Option(help="Tell each model's result under this name: cache/builds/.")
    ] = None,
) -> None:
    """Run dbt for some days, count the rows, publish the marts as Parquet.

    Rebuilds exactly the days that are asked for and the days that ingest marked as dirty (late
    rows); without --day only the dirty ones. Ends with an error, and publishes nothing, when a
    dbt test fails or when landed rows are not events plus rejected events.
    """
    from datetime import UTC, datetime

    from domain.clock import parse_day
    from domain.errors import BadInputError
    from domain.node_results import NodeResults, nobody, results_file

    of = settings()
    days = [parse_day(text) for text in day or []]
    if all_ + plan + publish_only > 1 or (all_ and days):
        raise BadInputError("--all, --plan, --publish-only and --day with --all exclude each other")
    if run and (plan or publish_only):
        raise BadInputError("--run tells what dbt does, and --plan and --publish-only leave it out")
    # Before the imports: whoever watches knows from here on that an earlier try's lines are old.
    tell = NodeResults(results_file(of.builds, run), now=datetime.now(UTC)) if run else nobody
    from warehouse import build as warehouse

    if all_:
        receipt = warehouse.build_all(of, tell=tell)
    elif plan:
        receipt = warehouse.plan(of, days)
    elif publish_only:
        receipt = warehouse.publish_days(of, days)
    else:
        receipt = warehouse.build_days(of, days, tell=tell)
    finish(receipt, of=of)
