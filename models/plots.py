"""The report's plots, as SVG text to be set into the page. One function a question."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from models.bootstrap import Interval

INK = "#1f2933"
MUTED = "#7b8794"
GRID = "#e4e7eb"
ACCENT = "#0b7285"
HIGHLIGHT = "#d9480f"
LINES = (ACCENT, HIGHLIGHT, "#5f3dc4", "#2b8a3e", "#a61e4d", "#e67700")

Rows = Sequence[tuple[str, Interval]]


def intervals(groups: Mapping[str, Rows], *, label: str, highlight: str = "") -> str:
    """``interval_figure`` as SVG."""
    return _svg(interval_figure(groups, label=label, highlight=highlight))


def interval_figure(groups: Mapping[str, Rows], *, label: str, highlight: str = "") -> Figure:
    """Means with their 95 % intervals: a panel a group, a line a name; one may be highlighted."""
    longest = max(len(rows) for rows in groups.values())
    figure = Figure(figsize=(4.6 * len(groups), 0.9 + 0.36 * longest), layout="constrained")
    for at, (title, rows) in enumerate(groups.items()):
        axes = figure.add_subplot(1, len(groups), at + 1)
        for place, (name, interval) in enumerate(rows):
            color = HIGHLIGHT if name == highlight else ACCENT
            axes.plot(
                [interval.low, interval.high], [place, place], color=color, lw=2.2, alpha=0.55
            )
            axes.plot(interval.mean, place, "o", color=color, ms=6.5)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        dress(axes, title=title, x_label=label)
        axes.grid(axis="x", color=GRID, lw=0.8)
    return figure


def learning_curves(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Training loss and validation metric by epoch: a column a model."""
    figure = Figure(figsize=(3.6 * max(len(curves), 2), 4.4), layout="constrained")
    for at, (name, curve) in enumerate(curves.items()):
        for row, (key, label) in enumerate((("train_loss", "loss"), ("validation", "validation"))):
            axes = figure.add_subplot(2, len(curves), row * len(curves) + at + 1)
            values = list(curve.get(key) or ())
            color = LINES[row]
            axes.plot(range(1, len(values) + 1), values, "o-", color=color, ms=4, lw=1.8)
            if row == 1 and values:
                best = max(range(len(values)), key=values.__getitem__)
                axes.axvline(best + 1, color=MUTED, lw=1, ls=":")
            if not values:
                axes.text(0.5, 0.5, "none", ha="center", color=MUTED, transform=axes.transAxes)
                axes.set_yticks([])
            axes.set_xticks(_epoch_ticks(len(values)))
            dress(axes, title=name if row == 0 else "", x_label="epoch" if row else "")
            axes.set_ylabel(label, color=MUTED, fontsize=9)
            axes.grid(axis="y", color=GRID, lw=0.8)
    return _svg(figure)


def alpha_curve(alphas: Sequence[float], values: Sequence[float], *, chosen: float) -> str:
    """The validation metric of every share α of the feature network, and the learned one."""
    figure = Figure(figsize=(5.6, 2.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(alphas, values, color=ACCENT, lw=2.2)
    axes.axvline(chosen, color=HIGHLIGHT, lw=1.6, ls="--")
    axes.annotate(
        f"learned α = {chosen:.2f}",
        (chosen, min(values)),
        xytext=(6 if chosen < 0.7 else -6, 4),
        textcoords="offset points",
        ha="left" if chosen < 0.7 else "right",
        color=HIGHLIGHT,
        fontsize=9.5,
    )
    axes.set_xlim(0, 1)
    dress(axes, title="", x_label="← transformer alone      α      feature network alone →")
    axes.set_ylabel("validation NDCG@10", color=MUTED, fontsize=9)
    axes.grid(axis="y", color=GRID, lw=0.8)
    return _svg(figure)


def _epoch_ticks(count: int) -> list[int]:
    step = max(1, -(-count // 6))
    return list(range(1, count + 1, step))


def dress(axes: Axes, *, title: str, x_label: str) -> None:
    """The look of every panel: a title on the left, a line below, no ticks."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_xlabel(x_label, color=MUTED, fontsize=9)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side == "bottom")
        axes.spines[side].set_color(GRID)


def _svg(figure: Figure) -> str:
    """The figure as an SVG element; no date, no random ids: the same data gives the same text."""
    figure.patch.set_alpha(0.0)
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    names = dict.fromkeys(re.findall(r'id="([^"]+)"', text))
    numbers = {name: f"{number}" for number, name in enumerate(names)}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + "PLOT-" + numbers.get(found[2], found[2])

    text = re.sub(r'(id="|href="#|url\(#)([^")]+)', renamed, text)
    # Several plots share one page, and the first id of a page wins: each plot needs its own.
    return text.replace("PLOT-", f"p{hashlib.sha256(text.encode()).hexdigest()[:8]}-")
