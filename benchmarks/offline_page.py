"""The showing half of ``benchmarks/offline_quality.py``: the page and the picture."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.pictures import save
from models.plots import GRID, HIGHLIGHT, INK, LINES, MUTED, dress
from models.trials import METRICS, Result

Rows = Mapping[str, Sequence[Result]]

TITLES: Final = {"recall_at_10": "recall@10", "ndcg_at_10": "NDCG@10"}
PUBLISHED: Final[Mapping[str, Mapping[str, tuple[float, str]]]] = {
    "amazon_2014_beauty": {
        "recall_at_10": (0.0928, "eSASRec"),
        "ndcg_at_10": (0.0531, "tuned SASRec"),
    },
    "movielens_1m": {"recall_at_10": (0.3164, "FuXi-α"), "ndcg_at_10": (0.1813, "FuXi-α")},
}
"""The best published on the same files and split: SASRec and eSASRec by blondered/transformer_
benchmark, all by eSASRec's repository (arXiv 2508.06450). None of them reads the items' texts."""


def page(rows: Rows) -> list[str]:
    """All sets as Markdown."""
    lines = ["# Offline quality on published sets", "", "![All rows](offline_quality.png)", ""]
    lines += ["Leave-one-out, full ranking, every user counts; 95 % intervals over users of the"]
    lines += ["first seed; over the seeds mean (least-most) of recall@10 / NDCG@10.", ""]
    titles = ["model", *TITLES.values(), "seeds", "validation", "fit, s", "on"]
    titles += ["settings", "tried"]
    for name, results in rows.items():
        lines += [f"## {name}", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        lines += [*map(line_of, results), ""]
        if best := PUBLISHED.get(name):
            told = ", ".join(
                f"{TITLES[key]} {value:.4f} ({who})" for key, (value, who) in best.items()
            )
            lines += [f"Best published on these files and this split, without texts: {told}.", ""]
    return lines


def line_of(result: Result) -> str:
    """One row of the table."""
    cells = [f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]" for one in result.test.values()]
    row = [result.model, *cells, _over_seeds(result), f"{result.validation_ndcg:.4f}"]
    row += [f"{result.fit_s:.1f}", result.machine, result.settings, str(result.tried)]
    return "| " + " | ".join(row) + " |"


def _over_seeds(result: Result) -> str:
    """Mean, least and most of each metric, and how many seeds."""
    if len(result.seeds) == 1:
        return ""
    told = []
    for name in result.test:
        values = [seed[name] for seed in result.seeds]
        told.append(f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})")
    return f"{' / '.join(told)}, {len(result.seeds)} seeds"


def draw(rows: Rows, path: Path) -> None:
    """A dot and an interval for each row and metric; the best published as a line."""
    heights = [max(len(results), 2) for results in rows.values()]
    figure = Figure(figsize=(12, 1.2 + 0.34 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(rows), 2, height_ratios=heights, squeeze=False)
    for (name, results), two in zip(rows.items(), grid, strict=True):
        for axes, metric in zip(two, METRICS, strict=True):
            _draw_metric(axes, name, results, metric)
            axes.set_yticks(range(len(results)))
        two[0].set_yticklabels([one.model for one in results])
        two[1].set_yticklabels([])
    save(figure, path)


def _draw_metric(axes: Axes, name: str, results: Sequence[Result], metric: str) -> None:
    for at, result in enumerate(results):
        told, color = result.test[metric], _color(result.model)
        axes.plot([told.low, told.high], [at, at], color=color, lw=3)
        axes.plot(told.mean, at, "o", color=color, ms=6)
        others = [seed[metric] for seed in result.seeds[1:]]
        axes.plot(others, [at] * len(others), "|", color=INK, ms=9)
    if best := PUBLISHED.get(name, {}).get(metric):
        value, who = best
        axes.axvline(value, color=INK, lw=1, ls="--")
        axes.annotate(f"{who} {value:.4f} ", (value, 0), ha="right", fontsize=8.5, color=INK)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=GRID, lw=0.8)
    about = "95 % over users; strokes: other seeds; dashed: best published"
    dress(axes, title=f"{name}: {TITLES[metric]}", x_label=about)


def _color(model: str) -> str:
    """The flagship, what is a network, and what is counted."""
    if model.startswith("flagship"):
        return HIGHLIGHT
    networks = ("next_item", "gpt2", "gru", "convolution", "vae", "gan")
    return LINES[0] if model.startswith(networks) else MUTED
