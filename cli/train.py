"""``vitrine train``: learn every model on what was known before a day."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import day_after_last, finish, settings

if TYPE_CHECKING:
    from datetime import date

    from domain.receipts import Stopwatch
    from domain.settings import Settings
    from models.alone import Alone
    from models.retrieval.config import RetrievalPreset
    from models.runs import RunInfo

app = typer.Typer(add_completion=False)


@app.command()
def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="One retriever alone (popularity, ease, sequence, next_item …), into "
            "models/<model>. Default: everything that a release needs.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="First day not seen, YYYY-MM-DD. Default: 7 days before the day after the last "
            "landed day, so that a week is left to judge on."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="How to train: base, small or debug. [VITRINE_PRESET]")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Name of the run. Default: <until>-<preset>-<hash of settings and data>."
        ),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="With MODEL: settings that differ from the preset's, as vitrine tune writes them.",
        ),
    ] = None,
) -> None:
    """Train retrieval, ranking and their fusion on everything before a day, into runs/<run>.

    With MODEL it trains that retriever alone and judges it on the days that have landed since.
    Features come from Feast's point-in-time join. A run that was killed goes on where it stopped
    and ends with the same weights; a finished run is not trained twice.
    """
    from domain.clock import parse_day
    from domain.errors import BadInputError
    from domain.receipts import Receipt, Stopwatch

    of, watch = settings(), Stopwatch()
    if model is not None:
        _train_alone(
            of,
            model,
            until=parse_day(until) if until else default_until(of),
            preset_name=preset or of.preset,
            settings_file=settings_file,
            watch=watch,
        )
        return
    if settings_file is not None:
        raise BadInputError("--settings are those of one model: name it, vitrine train MODEL")
    info = _train(
        of,
        until=parse_day(until) if until else default_until(of),
        preset_name=preset or of.preset,
        name=run,
    )
    rows = info.content["rows"]
    count = int(rows["interactions"]) if isinstance(rows, dict) else 0
    finish(
        Receipt(
            command="train",
            key=info.name,
            rows_in=count,
            rows_out=count,
            seconds=watch.seconds,
            artifacts=(str(info.folder),),
            details={name: info.content[name] for name in ("until", "preset", "device", "seconds")},
        ),
        of=of,
    )


def default_until(of: "Settings") -> "date":
    """A week before the first day of which nothing has landed: it is left to judge on."""
    from datetime import timedelta

    return day_after_last(of) - timedelta(days=7)


def _train(of: "Settings", *, until: "date", preset_name: str, name: str | None) -> "RunInfo":
    from functools import partial

    from models.presets import preset_of, run_name

    preset = preset_of(preset_name)
    from domain.progress import Progress
    from features.history import point_in_time
    from features.schema import feature_schema
    from features.store import apply, open_store
    from models.data import read_training_data
    from models.text import Encoder
    from models.training import Provenance, train

    data = read_training_data(of.marts, until=until)
    name = name or run_name(preset, name=preset_name, until=until, data_hash=data.hash())
    apply(of)
    return train(
        data,
        preset=preset,
        folder=of.runs / name,
        join=partial(point_in_time, of),
        encoder=Encoder(of.encoder),
        cache=of.cache,
        provenance=Provenance(
            preset_name=preset_name,
            git_commit=_git_commit(),
            features=feature_schema(open_store(of)),
        ),
        threads=of.train_threads,
        progress=Progress(of.progress_log, command="train"),
    )


def _train_alone(
    of: "Settings",
    name: str,
    *,
    until: "date",
    preset_name: str,
    settings_file: Path | None,
    watch: "Stopwatch",
) -> None:
    from dataclasses import asdict

    from domain.files import write_json
    from domain.receipts import Receipt

    preset = _preset_of_one(name, preset_name, settings_file)
    trained, count, judged_until = _fit_alone(of, name, until=until, preset=preset)
    about: dict[str, object] = {"until": until, "judged_until": judged_until, "preset": preset_name}
    about["settings"] = None if settings_file is None else asdict(preset.of(name))
    told = of.root / "models" / f"{name}.json"
    write_json(told, {**about, "tasks": trained.tasks})
    finish(
        Receipt(
            command="train",
            key=f"{name}-{until}",
            rows_in=count,
            rows_out=count,
            seconds=watch.seconds,
            artifacts=(str(trained.folder), str(told)),
            details={**about, "tasks": trained.tasks},
        ),
        of=of,
    )


def _preset_of_one(name: str, preset_name: str, settings_file: Path | None) -> "RetrievalPreset":
    """The preset, with one model's settings from a file."""
    from dataclasses import replace

    from models.presets import preset_of
    from models.retrieval import retriever_class
    from models.retrieval.settings_file import read_settings

    retriever_class(name)
    preset = preset_of(preset_name).retrieval
    if settings_file is None:
        return preset
    config = read_settings(settings_file, preset.of(name), model=name)
    return replace(preset, **{name: config})


def _fit_alone(
    of: "Settings", name: str, *, until: "date", preset: "RetrievalPreset"
) -> "tuple[Alone, int, date]":
    """The judged model, how many interactions it learned from, and until when it was judged."""
    from domain.progress import Progress
    from models.alone import train_alone
    from models.catalog import Catalog
    from models.data import read_mart, read_training_data
    from models.text import Encoder

    data = read_training_data(of.marts, until=until)
    progress = Progress(of.progress_log, command="train")
    catalog = Catalog.from_table(data.items)
    judged_until = day_after_last(of)
    trained = train_alone(
        name,
        data,
        later=read_mart(of.marts, "retrieval_examples", before=judged_until),
        judged_until=judged_until,
        preset=preset,
        folder=of.root / "models" / name,
        text_VE=Encoder(of.encoder).embed_catalog(catalog, of.cache, progress=progress),
        threads=of.train_threads,
        progress=progress,
    )
    return trained, len(data.interactions), judged_until


def _git_commit() -> str:
    """The checkout's commit; empty where there is no checkout."""
    import shutil
    import subprocess

    from domain.settings import REPOSITORY

    git = shutil.which("git")
    if git is None:
        return ""
    asked = subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()
