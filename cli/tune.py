"""``vitrine tune``: search for a model's settings, on what was known before a day."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import finish, settings
from cli.train import default_until

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from domain.settings import Settings
    from models.tried import Tried
    from models.tune import Budget, Tuned
    from models.tune_job import Job

app = typer.Typer(add_completion=False)


@app.command()
def tune(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Which retriever (ease, als, sequence, next_item …)."),
    ],
    *,
    trials: Annotated[
        int | None, typer.Option(help="End after so many trials, earlier calls' included.")
    ] = None,
    budget_s: Annotated[
        float | None,
        typer.Option(help="End after so many seconds of trying, earlier calls' included."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="First day not seen, YYYY-MM-DD; settings are judged on the two weeks before it. "
            "Default: as of vitrine train, whose week to judge on is never looked at."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Where to begin: base or debug. [VITRINE_PRESET]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 7,
) -> None:
    """Search for a model's settings, into tuning/<search>/settings.json.

    The first trial is the preset's settings; each trial is a run in MLflow. Given again after a
    kill, the command goes on where it stopped and makes the trials it would have made.
    vitrine train MODEL --settings FILE trains with what was found.
    """
    from domain.clock import parse_day
    from domain.receipts import Receipt, Stopwatch
    from models.presets import preset_of
    from models.retrieval import retriever_class
    from models.tune import Budget

    of, watch = settings(), Stopwatch()
    budget = Budget(trials, budget_s)
    retriever_class(model)
    preset_of(preset or of.preset)
    job = _job(
        of,
        model,
        until=parse_day(until) if until else default_until(of),
        preset_name=preset or of.preset,
    )
    search = f"{model}-{job.until}-{preset or of.preset}-{job.key(seed=seed)}"
    tuned, found = _searched(of, job, budget, search=search, seed=seed)
    count = len(job.data.interactions)
    finish(
        Receipt(
            command="tune",
            key=search,
            rows_in=count,
            rows_out=count,
            seconds=watch.seconds,
            artifacts=(str(found),),
            details=_told(job, tuned),
        ),
        of=of,
    )


def _job(of: "Settings", model: str, *, until: "date", preset_name: str) -> "Job":
    from domain.progress import Progress
    from models.catalog import Catalog
    from models.data import read_mart, read_training_data
    from models.presets import preset_of
    from models.text import Encoder
    from models.tune_job import Job, validated_since

    data = read_training_data(of.marts, until=validated_since(until))
    progress = Progress(of.progress_log, command="tune")
    catalog = Catalog.from_table(data.items)
    return Job.of(
        model,
        data,
        seen=read_mart(of.marts, "retrieval_examples", before=until),
        until=until,
        config=preset_of(preset_name).retrieval.of(model),
        text_VE=Encoder(of.encoder).embed_catalog(catalog, of.cache, progress=progress),
    )


def _searched(
    of: "Settings", job: "Job", budget: "Budget", *, search: str, seed: int
) -> "tuple[Tuned, Path]":
    """What was found, and the file of the best settings."""
    from domain.progress import Progress
    from models.retrieval.settings_file import write_settings
    from models.tracking import TrackedSearch
    from models.tune import tune as search_for

    about = {"model": job.name, "until": job.until, "validated_since": job.data.until, "seed": seed}
    tracked = TrackedSearch(search, store=of.mlflow, about=about)
    tuned = search_for(
        job,
        folder=of.root / "tuning" / search,
        budget=budget,
        seed=seed,
        threads=of.train_threads,
        progress=Progress(of.progress_log, command="tune"),
        record=tracked,
    )
    found = of.root / "tuning" / search / "settings.json"
    write_settings(found, tuned.config, model=job.name, about={**about, **_told(job, tuned)})
    tracked.finish(tuned.best, trials=len(tuned.trials), artifact=found)
    return tuned, found


def _told(job: "Job", tuned: "Tuned") -> dict[str, object]:
    """The search in a few numbers."""

    def score(tried: "Tried | None") -> float | None:
        return None if tried is None or tried.score is None else round(tried.score, 6)

    states = [tried.state for tried in tuned.trials]
    return {
        "until": job.until,
        "validated_since": job.data.until,
        "stopped": tuned.stopped,
        **{state: states.count(state) for state in ("finished", "pruned", "failed")},
        "best_trial": tuned.best.number,
        "best_score": score(tuned.best),
        "preset_score": score(tuned.first),
        "best_settings": dict(tuned.best.settings),
    }
