"""The report of a run: one HTML page that stands alone, and the same numbers as JSON.

The page has no script and no link to anywhere: it opens from a disk in ten years.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from domain.files import replacing_file, write_json
from models import plots
from models.bootstrap import Interval
from models.evaluate import Judgement, paired_difference
from models.metrics import METRIC_NAMES

logger = logging.getLogger(__name__)

TASK_TITLES: Final = {
    "any": "any: every purchase in the window, repeats count",
    "new": "new: only items the user never bought before",
}
SLICE_TITLES: Final = {
    "new_users": "new users (first purchase in the last 30 days)",
    "heavy_users": "heavy users (the top tenth by items bought)",
    "new_items": "new items (first sold in the last 30 days)",
}
METRIC_TITLES: Final = {
    "recall_at_10": "Recall@10",
    "ndcg_at_10": "NDCG@10",
    "hit_rate_at_10": "Hit rate@10",
    "mrr": "MRR",
}


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    Attributes:
        title: The run's name.
        facts: What to know about the run, shown in order: cutoff, window, preset, device, seconds …
        judgements: All models on all tasks; tables keep this order.
        curves: ``curves.json``: stage → what it noted; those with ``train_loss`` are plotted, and
            ``fusion`` with ``alpha``, ``alphas``, ``validation_ndcg``.
        baseline: The model that the others are compared with, user by user.
        candidate: The model that would go live; highlighted.
    """

    title: str
    facts: Mapping[str, object]
    judgements: Sequence[Judgement]
    curves: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    baseline: str = "popularity"
    candidate: str = "fusion"


def metrics_json(content: ReportInput) -> dict[str, object]:
    """Every number of the report: ``tasks`` → task → model → ``Judgement.to_json`` + ``against``.

    ``against`` names the baseline and holds the paired difference of each metric.
    """
    tasks: dict[str, dict[str, object]] = {}
    for judgement in content.judgements:
        against = {
            name: interval.to_json() for name, interval in _against(content, judgement).items()
        }
        tasks.setdefault(judgement.task, {})[judgement.model] = {
            **judgement.to_json(),
            "against": {"baseline": content.baseline, "difference": against},
        }
    return {"title": content.title, "facts": dict(content.facts), "tasks": tasks}


def write_report(folder: Path, content: ReportInput) -> dict[str, object]:
    """Write ``report.html``, ``metrics.json`` and ``per_user.parquet`` into ``folder``.

    Returns:
        What ``metrics.json`` holds.
    """
    numbers = metrics_json(content)
    write_json(folder / "metrics.json", numbers)
    with replacing_file(folder / "per_user.parquet") as aside:
        per_user = pa.concat_tables([judgement.per_user for judgement in content.judgements])
        pq.write_table(per_user, aside, compression="zstd")
    with replacing_file(folder / "report.html") as aside:
        aside.write_text(render(content), encoding="utf-8")
    logger.info("wrote the report of %s: %s", content.title, folder / "report.html")
    return numbers


def render(content: ReportInput) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    tasks = list(dict.fromkeys(judgement.task for judgement in content.judgements))
    return template.render(
        title=content.title,
        facts=content.facts,
        baseline=content.baseline,
        candidate=content.candidate,
        metric_titles=[METRIC_TITLES[name] for name in METRIC_NAMES],
        headlines=[_headline(content, task) for task in tasks],
        tables=[_table(content, task) for task in tasks],
        overview=_overview(content, tasks),
        slices=[_slice_plot(content, task) for task in tasks],
        curves=_curves_plot(content.curves),
        alpha=_alpha_plot(content.curves.get("fusion", {})),
    )


def _of_task(content: ReportInput, task: str) -> list[Judgement]:
    return [judgement for judgement in content.judgements if judgement.task == task]


def _against(content: ReportInput, judgement: Judgement) -> dict[str, Interval]:
    """The paired difference from the baseline by metric; empty for the baseline itself."""
    rivals = {other.model: other for other in _of_task(content, judgement.task)}
    if judgement.model == content.baseline or content.baseline not in rivals:
        return {}
    rival = rivals[content.baseline].per_user
    return {
        name: paired_difference(judgement.per_user, rival, metric=name) for name in METRIC_NAMES
    }


def _ndcg(table: pa.Table) -> Interval:
    from models.evaluate import summarize

    return Interval(**summarize(table)["ndcg_at_10"])


def _headline(content: ReportInput, task: str) -> dict[str, object]:
    """One sentence a task: does what would go live beat the baseline?"""
    chosen = [
        judgement for judgement in _of_task(content, task) if judgement.model == content.candidate
    ]
    if not chosen:
        return {"task": task, "value": None, "difference": None}
    difference = _against(content, chosen[0]).get("ndcg_at_10")
    return {"task": task, "value": _ndcg(chosen[0].per_user), "difference": difference}


def _table(content: ReportInput, task: str) -> dict[str, object]:
    rows = []
    for judgement in _of_task(content, task):
        metrics = judgement.to_json()["metrics"]
        values = [Interval(**metrics[name]) for name in METRIC_NAMES]  # type: ignore[index]
        rows.append(
            {
                "model": judgement.model,
                "values": values,
                "coverage": judgement.coverage,
                "difference": _against(content, judgement).get("ndcg_at_10"),
            }
        )
    best = [max(row["values"][at].mean for row in rows) for at in range(len(METRIC_NAMES))]  # type: ignore[index]
    users = len(_of_task(content, task)[0].per_user)
    return {"title": TASK_TITLES.get(task, task), "rows": rows, "best": best, "users": users}


def _overview(content: ReportInput, tasks: Sequence[str]) -> str:
    groups = {
        task: [
            (judgement.model, _ndcg(judgement.per_user)) for judgement in _of_task(content, task)
        ]
        for task in tasks
    }
    return plots.intervals(groups, label="NDCG@10, 95 % interval", highlight=content.candidate)


def _slice_plot(content: ReportInput, task: str) -> dict[str, object]:
    judged = _of_task(content, task)
    groups: dict[str, plots.Rows] = {}
    legend = []
    for name in judged[0].per_slice:
        users = len(judged[0].per_slice[name])
        legend.append(f"{SLICE_TITLES.get(name, name)}: {users:,} users")
        if users:
            groups[name.replace("_", " ")] = [
                (judgement.model, _ndcg(judgement.per_slice[name])) for judgement in judged
            ]
    plot = ""
    if groups:
        plot = plots.intervals(groups, label="NDCG@10", highlight=content.candidate)
    return {"title": TASK_TITLES.get(task, task), "plot": plot, "legend": legend}


def _curves_plot(curves: Mapping[str, Mapping[str, object]]) -> str:
    trained = {
        stage.removeprefix("retrieval_"): {
            key: list(note.get(key) or ())  # type: ignore[call-overload]
            for key in ("train_loss", "validation")
        }
        for stage, note in curves.items()
        if note.get("train_loss")
    }
    return plots.learning_curves(trained) if trained else ""


def _alpha_plot(note: Mapping[str, object]) -> str:
    if not {"alpha", "alphas", "validation_ndcg"} <= set(note):
        return ""
    alphas, values = list(note["alphas"]), list(note["validation_ndcg"])  # type: ignore[call-overload]
    return plots.alpha_curve(alphas, values, chosen=float(note["alpha"]))  # type: ignore[arg-type]
