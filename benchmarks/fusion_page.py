"""The showing half of ``benchmarks/fusion.py``: the page, its verdict, and the picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.pictures import save
from models.plots import ACCENT, GRID, HIGHLIGHT, INK, LINES, MUTED
from models.ranking.tally import LOWER_IS_BETTER, MEASURES

Result = Mapping[str, Any]

CLAIMED: Final[Mapping[str, Mapping[str, float]]] = {
    "dnn": {"accuracy": 0.85, "recall": 0.75, "f1": 0.80},
    "transformer": {"accuracy": 0.88, "recall": 0.80, "f1": 0.84},
    "fusion": {"accuracy": 0.90, "recall": 0.85, "f1": 0.87},
}
"""The copied table; it names no data, no base rate, no spread."""
PARTS: Final = ("dnn", "transformer")
TITLES: Final = {
    "dnn": "DNN (r1)",
    "transformer": "Transformer (r2)",
    "fusion": "fusion, α learned",
    "alpha 0.5": "fusion, α left at 0.5",
    "two dnns": "two DNNs, α learned",
    "two transformers": "two Transformers, α learned",
}
NAMES: Final = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "ndcg_at_10": "NDCG@10",
    "log_loss": "log loss",
}
TASKS: Final = {
    "any": "`any`: repeats count",
    "new": "`new`: only items the user never bought",
}
COLORS: Final = {"dnn": LINES[0], "transformer": LINES[2], "fusion": HIGHLIGHT}


def proven(difference: Mapping[str, Any], measure: str) -> str:
    """``better``, ``worse`` or ``unclear``: sure over seeds and over lists, or not."""
    sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
    ends = [
        sign * difference[over][end]
        for over in ("over_seeds", "over_lists")
        for end in ("low", "high")
    ]
    if min(ends) > 0:
        return "better"
    return "worse" if max(ends) < 0 else "unclear"


def against_both(task: Result, measure: str) -> str:
    """``better``: fusion is so than each part; ``worse``: than one of them; else ``unclear``."""
    found = [proven(task["fusion_minus"][part][measure], measure) for part in PARTS]
    if "worse" in found:
        return "worse"
    return "better" if set(found) == {"better"} else "unclear"


def verdict(task: Result) -> list[str]:
    """What a reader may take away of one task."""
    by = {
        word: [NAMES[name] for name in MEASURES if against_both(task, name) == word]
        for word in ("better", "worse", "unclear")
    }
    told = [
        f"Better than both parts: {_listed(by['better'])}. Worse than one of them: "
        f"{_listed(by['worse'])}. Not told from chance: {_listed(by['unclear'])}."
    ]
    claims = [CLAIMED["fusion"]["f1"] - CLAIMED[part]["f1"] for part in PARTS]
    told.append(f"F1: {_gains(task, 'f1')}; claimed {claims[0]:+.2f} and {claims[1]:+.2f}.")
    told.append(f"NDCG@10: {_gains(task, 'ndcg_at_10')}.")
    return [*told, why_not_accuracy(task)]


def _gains(task: Result, measure: str) -> str:
    return " and ".join(
        f"{_signed(task['fusion_minus'][part][measure]['over_lists'])} over the {TITLES[part]}"
        for part in PARTS
    )


def in_short(result: Result) -> str:
    """The one sentence: whether fusion wins, by how much, and what the same effort gains else."""
    told = []
    for name, task in result["tasks"].items():
        kept = [NAMES[m] for m in CLAIMED["fusion"] if against_both(task, m) == "better"]
        better = max(PARTS, key=lambda part: task["rows"][part]["f1"]["mean"])
        gain = task["fusion_minus"][better]["f1"]["over_lists"]["mean"]
        share = gain / task["rows"][better]["f1"]["mean"]
        twin = task["rows"][f"two {better}s"]["f1"]["mean"] - task["rows"][better]["f1"]["mean"]
        told.append(
            f"on `{name}`, of accuracy, recall and F1 fusion surely raises {_only(kept)} over both "
            f"parts; its F1 is {gain:+.4f} ({share:+.1%}) from the better part, the "
            f"{TITLES[better]}, to which a second one of the same kind adds {twin:+.4f}"
        )
    claimed = CLAIMED["fusion"]["f1"] - max(CLAIMED[part]["f1"] for part in PARTS)
    return f"In short: {'; '.join(told)}. Claimed: all three, F1 {claimed:+.2f} from the better."


def why_not_accuracy(task: Result) -> str:
    """Whom accuracy would put first."""
    no = task["no_model"]["always no"]["accuracy"]
    best = max(task["rows"][name]["accuracy"]["mean"] for name in CLAIMED)
    share = task["no_model"]["wanted_share"]["test"]
    compared = "above" if no > best else "below" if no < best else "at"
    return (
        f"Of the candidates {share:.1%} were wanted. Whoever always says no is right in {no:.1%} "
        f"of the cases, {compared} the {best:.1%} of the best of the three, and recommends "
        "nothing: accuracy measures the base rate."
    )


def page(result: Result) -> list[str]:
    """The result for a reader."""
    first, last = result["windows"][0], result["windows"][-1]
    lines = ["# Does `r = α·r1 + (1 − α)·r2` beat its parts?", "", f"**{in_short(result)}**", ""]
    lines += [
        f"`{result['source']}`, preset `{result['preset']}`, {len(result['seeds'])} seeds of both "
        f"rankers; trained on {_trained_on(result)} (two a user and window) from {first[0]} "
        f"on, calibrated and α learned on {result['windows'][-2][0]} to {last[0]}, judged on "
        f"{last[0]} to {last[1]} (the later day never included); at most "
        f"{result['most_users_of_a_window']:,} users of a window, a seeded choice. "
        f"`{result['command']}`, threads: {result['machine']['threads']}.",
        "",
    ]
    for task, content in result["tasks"].items():
        lines += _task_lines(task, content)
    lines += _alpha_lines(result)
    return [*lines, *_method()]


def _trained_on(result: Result) -> str:
    count, there_are = result["train_lists"], result["train_lists_there_are"]
    if count == there_are:
        return f"all {count:,} lists"
    return f"{count:,} of {there_are:,} lists, a seeded choice, the same for all seeds"


def _task_lines(task: str, content: Result) -> list[str]:
    lists, candidates, wanted = (content[f"test_{n}"] for n in ("lists", "candidates", "wanted"))
    lines = [f"## {TASKS.get(task, task)}", "", *(f"- {line}" for line in verdict(content)), ""]
    lines += [f"{lists:,} lists, {candidates:,} candidates, {wanted:,} of them wanted."]
    lines += ["Mean and 95 % interval over seeds.", ""]
    lines += [f"| | {' | '.join(NAMES[name] for name in MEASURES)} |"]
    lines += ["|---" * (len(MEASURES) + 1) + "|"]
    for name, row in content["rows"].items():
        lines.append(f"| {TITLES[name]} | {' | '.join(_cell(row[m]) for m in MEASURES)} |")
    for name in ("always no", "always yes"):
        row = content["no_model"][name]
        cells = [f"{row[m]:.4f}" if m in row else "" for m in MEASURES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    share = content["no_model"]["log_loss_of_share"]
    lines.append(f"| the wanted share, always |{' |' * (len(MEASURES) - 1)} {share:.4f} |")
    for name, row in CLAIMED.items():
        cells = [f"{row[m]:.2f}" if m in row else "" for m in MEASURES]
        lines.append(f"| *claimed: {name}* | {' | '.join(cells)} |")
    lines += [
        "",
        "Fusion minus each: mean [over lists] [over seeds], seeds in which it is more.",
        "",
    ]
    lines += [f"| fusion minus | {' | '.join(NAMES[name] for name in MEASURES)} |"]
    lines += ["|---" * (len(MEASURES) + 1) + "|"]
    for name, row in content["fusion_minus"].items():
        lines.append(f"| {TITLES[name]} | {' | '.join(_difference(row[m]) for m in MEASURES)} |")
    return [*lines, ""]


def _alpha_lines(result: Result) -> list[str]:
    alphas = result["alpha"]
    lines = ["## α", "", "The DNN's share, one number a seed; 1 is the DNN alone.", ""]
    for name in ("fusion", "two dnns", "two transformers"):
        lines.append(f"- {TITLES[name]}: {', '.join(f'{alpha:.3f}' for alpha in alphas[name])}")
    for name in ("r2 is noise", "r1 is noise"):
        found = [each[name] for each in result["limits"].values()]
        lines.append(f"- {name}: {', '.join(f'{alpha:.3f}' for alpha in found)}")
    return [*lines, "", "![Claimed, measured, differences, α](fusion.png)", ""]


def _method() -> list[str]:
    return [
        "## How",
        "",
        "A candidate is what retrieval proposed to a user at the window's first moment; wanted is "
        "what they went on to buy. Both rankers stop training by NDCG on the validation lists; "
        "their calibrations, α (the root of its exact gradient) and each row's threshold (best F1) "
        "come from the same lists and never from the test. Over lists: 1,000 draws of the test's "
        "users, the mean over seeds of each. AUC is over all candidates together, NDCG@10 within "
        "lists. Retrieval and its lists are of one seed: the spread over seeds is that of the "
        "rankers alone. `better` asks both intervals to lie on one side of 0; nothing is taken off "
        "for looking at seven measures. What retrieval missed is in no list. No claimed figure "
        "names its data, so only the order it claims can be tested.",
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _only(kept: list[str]) -> str:
    if len(kept) == len(CLAIMED["fusion"]):
        return "all three"
    return f"only {_listed(kept)}" if kept else "none"


def _signed(interval: Mapping[str, float]) -> str:
    return f"{interval['mean']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]"


def _cell(told: Mapping[str, Any]) -> str:
    return f"{told['mean']:.4f} [{told['low']:.4f}, {told['high']:.4f}]"


def _difference(told: Mapping[str, Any]) -> str:
    lists, seeds = told["over_lists"], told["over_seeds"]
    over = [f"[{each['low']:+.4f}, {each['high']:+.4f}]" for each in (lists, seeds)]
    return f"{lists['mean']:+.4f} {' '.join(over)}, {told['seeds_above']}"


def draw(result: Result, path: Path) -> None:
    """Claimed and measured; fusion minus each part, each at its own scale; α."""
    task = result["tasks"]["any"]
    figure = Figure(figsize=(15.5, 4.3), layout="constrained")
    claimed, *differences, alpha = figure.subplots(1, 4, width_ratios=(1.4, 1, 1, 1))
    _draw_claimed(claimed, task)
    for part, axes in zip(PARTS, differences, strict=True):
        _draw_differences(axes, task, part)
    _draw_alpha(alpha, result)
    for axes in (claimed, *differences, alpha):
        axes.tick_params(colors=INK, labelsize=9, length=0)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
    save(figure, path)


def _draw_claimed(axes: Axes, task: Result) -> None:
    measures = ("accuracy", "recall", "f1")
    for at, name in enumerate(CLAIMED):
        places = [place + 0.22 * (at - 1) for place in range(len(measures))]
        rows = [task["rows"][name][measure] for measure in measures]
        claims = [CLAIMED[name][measure] for measure in measures]
        axes.vlines(places, [r["low"] for r in rows], [r["high"] for r in rows], COLORS[name], lw=3)
        means = [row["mean"] for row in rows]
        axes.plot(places, means, "o", color=COLORS[name], ms=7, label=TITLES[name])
        axes.plot(places, claims, "o", mfc="none", color=COLORS[name], ms=7)
    no = task["no_model"]["always no"]["accuracy"]
    axes.hlines(no, -0.45, 0.45, INK, ls="--", lw=1.2)
    axes.annotate("always no", (0.47, no), va="center", fontsize=8.5, color=INK)
    axes.plot([], [], "o", mfc="none", color=MUTED, ms=7, label="claimed")
    axes.set_xticks(range(len(measures)), [NAMES[measure] for measure in measures])
    axes.set_ylim(0, 1.03)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left")
    axes.set_title("Claimed (hollow) and measured", loc="left", fontsize=11, fontweight="bold")


def _draw_differences(axes: Axes, task: Result, part: str) -> None:
    for place, measure in enumerate(MEASURES):
        told = task["fusion_minus"][part][measure]
        for over, width, shift in (("over_lists", 3.0, -0.12), ("over_seeds", 1.2, 0.12)):
            ends = [told[over]["low"], told[over]["high"]]
            axes.plot(ends, [place + shift] * 2, color=COLORS[part], lw=width)
        axes.plot(told["over_lists"]["mean"], place, "o", color=COLORS[part], ms=5)
    axes.axvline(0, color=INK, lw=1)
    names = [f"{NAMES[m]}{' (less: better)' if m in LOWER_IS_BETTER else ''}" for m in MEASURES]
    axes.set_yticks(range(len(MEASURES)), names if part == PARTS[0] else [""] * len(names))
    axes.set_ylim(len(MEASURES) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=GRID, lw=0.8)
    axes.set_xlabel("thick: 95 % over users, thin: over seeds", color=MUTED, fontsize=8.5)
    title = f"Fusion minus {TITLES[part]}"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")


def _draw_alpha(axes: Axes, result: Result) -> None:
    rows = {
        "r1 is noise": [each["r1 is noise"] for each in result["limits"].values()],
        "learned": result["alpha"]["fusion"],
        "r2 is noise": [each["r2 is noise"] for each in result["limits"].values()],
    }
    for place, (name, alphas) in enumerate(rows.items()):
        color = HIGHLIGHT if name == "learned" else ACCENT
        heights = [place + 0.03 * (at - len(alphas) / 2) for at in range(len(alphas))]
        axes.plot(alphas, heights, "o", color=color, ms=6, alpha=0.75)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.04, 1.04)
    axes.grid(axis="x", color=GRID, lw=0.8)
    axes.set_xlabel("← r2 alone    one dot a seed    r1 alone →", color=MUTED, fontsize=8.5)
    axes.set_title("α", loc="left", fontsize=11, fontweight="bold")
