"""``vitrine evaluate``: every model of a run on what happened after its cutoff."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import day_after_last, finish, settings

if TYPE_CHECKING:
    from datetime import date

    from domain.settings import Settings
    from models.judging import Judged
    from models.report import ReportInput
    from models.runs import RunInfo

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    run: Annotated[
        str | None, typer.Option(help="Name of the run. Default: the one trained last.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="First day not judged, YYYY-MM-DD. Default: the day after the last landed day."
        ),
    ] = None,
) -> None:
    """Judge a run on the days from its cutoff, into runs/<run>/evaluation.

    Full ranking, both tasks (any, new), intervals over users. The row "release" is what the serving
    pipeline answers. Writes report.html, metrics.json and per_user.parquet, tracked in MLflow.
    """
    from domain.clock import parse_day
    from domain.receipts import Receipt, Stopwatch
    from models.runs import find_run

    of, watch = settings(), Stopwatch()
    info = find_run(of.runs, run)
    end = parse_day(until) if until else day_after_last(of)
    judged = _judge(of, info, until=end)
    folder = info.folder / "evaluation"
    metrics = _report(of, info, judged, until=end)
    finish(
        Receipt(
            command="evaluate",
            key=info.name,
            seconds=watch.seconds,
            artifacts=(str(folder / "report.html"), str(folder / "metrics.json")),
            details={"since": info.until, "until": end, "label": judged.label, "ndcg": metrics},
        ),
        of=of,
    )


def _judge(of: "Settings", info: "RunInfo", *, until: "date") -> "Judged":
    from functools import partial

    import pyarrow as pa

    from bentos.recommender.offline import recommend_as_of
    from domain.errors import BadInputError
    from features.history import point_in_time
    from models.data import read_mart
    from models.judging import judge_run
    from models.recommender import Recommender

    if until <= info.until:
        raise BadInputError(
            f"run {info.name} was trained until {info.until}: there is nothing to judge before "
            f"{until}; land later days or train with an earlier --until"
        )

    def recommend(user_ids: list[str], task: str) -> pa.Table:
        return recommend_as_of(
            info.folder, user_ids, settings=of, task=task, k=10, until=info.until
        )

    return judge_run(
        Recommender.load(info.folder),
        read_mart(of.marts, "retrieval_examples", before=until),
        since=info.until,
        until=until,
        join=partial(point_in_time, of),
        recommend=recommend,
    )


def _report(
    of: "Settings", info: "RunInfo", judged: "Judged", *, until: "date"
) -> dict[str, float]:
    """Write and track everything; NDCG@10 by task and model."""
    from models.report import write_report
    from models.tracking import track

    folder = info.folder / "evaluation"
    write_report(folder, _content(info, judged, until=until))
    means = {
        f"{each.task}/{each.model}/{name}": sum(values) / len(values)
        for each in judged.judgements
        for name in ("recall_at_10", "ndcg_at_10", "hit_rate_at_10", "mrr")
        if (values := each.per_user.column(name).to_pylist())
    }
    track(
        info,
        store=of.mlflow,
        metrics=means,
        artifacts=[folder / "report.html", folder / "metrics.json", info.folder / "run.json"],
    )
    return {name: round(value, 6) for name, value in means.items() if name.endswith("ndcg_at_10")}


def _content(info: "RunInfo", judged: "Judged", *, until: "date") -> "ReportInput":
    import json

    from models.report import ReportInput

    facts = {
        "trained before": info.until,
        "judged until": until,
        "label": judged.label,
        **{name: info.content[name] for name in ("preset", "device", "seconds_total", "data_hash")},
        "git_commit": info.content["git_commit"] or "no checkout",
    }
    curves = json.loads((info.folder / "curves.json").read_text(encoding="utf-8"))
    return ReportInput(
        title=info.name,
        facts={name: str(value) for name, value in facts.items()},
        judgements=judged.judgements,
        curves=curves,
        candidate="release",
    )
