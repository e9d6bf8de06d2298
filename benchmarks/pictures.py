"""Results as one looks at them: bars, a peer each, and PNG files of any figure."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    size = (6.4 * columns, (0.9 + 0.32 * most) * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for (title, numbers), axes in zip(panels.items(), grid, strict=False):
        ordered = sorted(numbers.items(), key=lambda one: one[1])
        names = [name for name, _ in ordered]
        colors = [HIGHLIGHT if name in ours else ACCENT for name in names]
        drawn = axes.barh(names, [number for _, number in ordered], color=colors, height=0.62)
        axes.bar_label(drawn, fmt=_shown, padding=3, fontsize=8.5, color=INK)
        axes.set_xlim(0, 1.12 * max(numbers.values()))
        axes.grid(axis="x", color=GRID, lw=0.8)
        dress(axes, title=title, x_label=label)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """The figure as a PNG file; the same data gives the same bytes."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
