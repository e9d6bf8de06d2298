"""What ``smaller.py`` measured, as a page and a plot."""

from pathlib import Path
from typing import Final

TEACHER: Final = "teacher"
SMALL: Final = "small: in 8 bits"


def share(value: float) -> str:
    return f"{100 * value:+.1f} %"


def table(result: dict) -> list[str]:
    """The result as a page."""
    whole = result["rows"][TEACHER]["bytes"]
    lists = {task: result["rows"][TEACHER][task]["lists"] for task in ("any", "new")}
    lines = [
        "# A smaller ranking transformer",
        "",
        f"`{result['command']}`: trained before {result['until']}, tested",
        f"until {result['end']} on {lists['any']:,} lists `any` and {lists['new']:,} `new`;",
        f"{result['requests']} requests of {result['candidates']['median']:.0f} candidates "
        f"(median), one thread, {result['rounds']} rounds.",
        "",
        f"Machine: {result['machine']}.",
        "",
        "| | KB | smaller | ms a request | faster than the teacher | than it folded "
        "| NDCG@10 any | change | new | change |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in result["speed"].items():
        cells = [name, "", "", f"{each['ms']['median']:.2f}"]
        if name in result["rows"]:
            size = result["rows"][name]["bytes"]
            cells[1:3] = [f"{size / 1e3:.0f}", f"{whole / size:.1f} x"]
        for key in ("times_faster", "times_faster_than_folded"):
            cells.append(_times_cell(each[key]) if key in each else "")
        for task in ("any", "new"):
            judged = result["rows"].get(name, {}).get(task)
            cells += _quality_cells(judged) if judged else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "- *faster*: the teacher's ms over the row's in the same round, median (least-most).",
        "- *change*: NDCG@10 against the teacher on the same lists, in shares of the teacher's,",
        "  with the 95 % bootstrap interval over lists. It is the ranker's own, not the fusion's.",
        "- *folded*: item embeddings are looked up, not made anew; all rows but the first are.",
        f"- `{SMALL}` with other seeds (of teacher and student), each against its own teacher:",
    ]
    for seed, judged in [*result["seeds"].items(), ("all, mean of a list", result["together"])]:
        told = "; ".join(f"{task} {_quality_cells(judged[task])[1]}" for task in ("any", "new"))
        lines.append(f"  - {seed}: {told}")
    return lines


def _times_cell(ratio: dict) -> str:
    return f"{ratio['median']:.2f} x ({ratio['min']:.2f}-{ratio['max']:.2f})"


def _quality_cells(judged: dict) -> list[str]:
    change = judged["change"]
    return [
        f"{judged['ndcg_at_10']:.4f}",
        f"{share(change['mean'])} [{share(change['low'])}, {share(change['high'])}]",
    ]


def plot(result: dict, path: Path) -> None:
    """Bytes and milliseconds, and what each row's NDCG is to the teacher's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(result["rows"])
    figure = Figure(figsize=(11, 0.9 + 0.42 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, sharey=True)
    sizes = [result["rows"][name]["bytes"] / 1e3 for name in names]
    took = [result["speed"][name]["ms"]["median"] for name in names]
    colors = ["#d9480f" if name == SMALL else "#0b7285" for name in names]
    for axes, values, title, form in (
        (panels[0], sizes, "KB on disk", "{:.0f}"),
        (panels[1], took, "ms a request", "{:.2f}"),
    ):
        bars = axes.barh(range(len(names)), values, color=colors)
        axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(0, 1.18 * max(values))
    for task, shift, marker in (("any", -0.15, "o"), ("new", 0.15, "s")):
        for place, name in enumerate(names):
            change = result["rows"][name][task]["change"]
            low, mean, high = (100 * change[key] for key in ("low", "mean", "high"))
            panels[2].plot([low, high], [place + shift] * 2, color=colors[place], lw=2, alpha=0.5)
            panels[2].plot(
                mean, place + shift, marker, color=colors[place], ms=5,
                label=task if place == 0 else None,
            )  # fmt: skip
    panels[2].axvline(-1, color="#7b8794", ls=":", lw=1)
    panels[2].set_title("NDCG@10 to the teacher's, % (dotted: -1)", fontsize=10)
    panels[2].legend(fontsize=8, frameon=False)
    panels[0].set_yticks(range(len(names)), names, fontsize=9)
    panels[0].invert_yaxis()
    figure.savefig(path, dpi=130)
