"""Results as one looks at them: a bar a peer, or a dot with its interval a model; PNG files."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.bootstrap import Interval
from models.plots import ACCENT, GRID, HIGHLIGHT, INK, dress


def bars(
    panels: Mapping[str, Mapping[str, float]],
    path: Path,
    *,
    label: str,
    ours: Collection[str],
    columns: int = 1,
) -> None:
    """Horizontal bars from 0, the longest on top; panels in rows.

    Args:
        panels: Title → who → a number.
        path: The PNG file.
        label: What the numbers are.
        ours: Who is highlighted.
        columns: Panels in a row.
    """
    most = max(len(numbers) for numbers in panels.values())
    rows = math.ceil(len(panels) / columns)
    figure, grid = _figure(rows, columns, height=0.9 + 0.32 * most)
    for (title, numbers), axes in zip(panels.items(), grid, strict=False):
        ordered = sorted(numbers.items(), key=lambda one: one[1])
        names = [name for name, _ in ordered]
        colors = [HIGHLIGHT if name in ours else ACCENT for name in names]
        drawn = axes.barh(names, [number for _, number in ordered], color=colors, height=0.62)
        axes.bar_label(drawn, fmt=_shown, padding=3, fontsize=8.5, color=INK)
        axes.set_xlim(0, 1.12 * max(numbers.values()))
        _finish(axes, title, label)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def dots(
    panels: Mapping[str, Sequence[tuple[str, Interval]]],
    path: Path,
    *,
    label: str,
    ours: Collection[str],
) -> None:
    """A dot and its 95 % interval a row, in the order given, the first at the bottom.

    Args:
        panels: Title → name and interval.
        path: The PNG file.
        label: What the numbers are.
        ours: Which rows are highlighted.
    """
    most = max(len(rows) for rows in panels.values())
    figure, grid = _figure(1, len(panels), height=0.9 + 0.32 * most)
    for (title, rows), axes in zip(panels.items(), grid, strict=True):
        for place, (name, told) in enumerate(rows):
            color = HIGHLIGHT if name in ours else ACCENT
            axes.plot([told.low, told.high], [place, place], color=color, lw=3, alpha=0.55)
            axes.plot(told.mean, place, "o", color=color, ms=6)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_xlim(left=0)
        _finish(axes, title, label)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _figure(rows: int, columns: int, *, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(6.4 * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.grid(axis="x", color=GRID, lw=0.8)
    dress(axes, title=title, x_label=label)
