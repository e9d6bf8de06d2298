"""A table of models on one set under one frozen protocol, in which every row can be made again.

The protocol is ``models.trials``: leave-one-out, full ranking, ties against the model, every user
counts. An entry says what was trained, by whom, with which settings and seed, on which data, and
what came of it. It is taken only if a second run from a clean state comes to the same figures; an
entry of another machine can be run again as well, within what rounding may move.
"""

import hashlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from domain.errors import BadInputError, VitrineError
from domain.files import write_json
from models.data import add_table
from models.presets import preset_of
from models.retrieval import FitContext, retriever_class
from models.retrieval.config import seeded
from models.retrieval.settings_file import changed
from models.sets import PublishedSet, read_set
from models.text import Encoder
from models.trials import Result, Trial

logger = logging.getLogger(__name__)

PROTOCOL: Final = "leave-one-out, full ranking, ties against the model, every user: 1"
TOLERANCE: Final = 0.01
"""Share by which a figure of another machine may differ: other cores round otherwise."""
POWER: Final = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
_ENDS_WITH: Final = ".json"


class NotReproducedError(VitrineError):
    """A second run came to other figures."""


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        name: Its file's name.
        model: The retriever.
        preset: Whose settings they are, or what they differ from.
        seed: Of everything drawn at random.
        author: Who put it there.
        protocol: ``PROTOCOL`` as it was.
        data: Hash of the set's interactions.
        figures: Metric → mean, low and high over users.
        seconds: Of fitting.
        joules: Of fitting, by the processor's own counter; None where it cannot be read.
        settings: Every one of them as it was, so that a preset may change after the entry.
    """

    name: str
    model: str
    preset: str
    seed: int
    author: str
    protocol: str
    data: str
    figures: dict[str, dict[str, float]]
    seconds: float
    joules: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def set_name(self) -> str:
        """Of the data: what its name begins with."""
        return self.name.partition(f"-{self.model}-")[0]


@dataclass(frozen=True)
class Asked:
    """What is to be run.

    Attributes:
        model: The retriever.
        preset: Whose settings.
        seed: Of everything drawn at random.
        settings: What differs from the preset's, as in a settings file.
        cache: Where embedded texts are kept; None keeps none.
        label: What the entry's name says of the settings; empty: the preset.
    """

    model: str
    preset: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None
    label: str = ""


def data_hash(published: PublishedSet) -> str:
    """sha256 of who took what in which order."""
    order = [("user_id", "ascending"), ("event_date", "ascending")]
    digest = hashlib.sha256()
    add_table(digest, published.examples.sort_by(order))
    return digest.hexdigest()


def run(folder: Path, asked: Asked) -> Entry:
    """Train and judge here and now, from nothing but the set; the entry has no author yet.

    Raises:
        BadInputError: If there is no such model, preset, setting or set.
    """
    kind = retriever_class(asked.model)
    config = changed(preset_of(asked.preset).retrieval.of(asked.model), asked.settings)
    settings = seeded(config, asked.seed)
    published = read_set(folder)
    trial = Trial(published)
    text_VE = Encoder().embed_catalog(published.catalog, asked.cache)
    began, before = time.perf_counter(), _joules()
    scorer = kind.fit(
        trial.train,
        published.catalog,
        until=trial.until,
        config=settings,
        context=FitContext(text_VE=text_VE, validate=trial.validated),
    )
    seconds, after = time.perf_counter() - began, _joules()
    tested = trial.tested(Result(asked.model, asked.preset, 1, 0.0, seconds), scorer)
    return Entry(
        name=f"{published.name}-{asked.model}-{asked.label or asked.preset}-{asked.seed}",
        model=asked.model,
        preset=asked.preset,
        seed=asked.seed,
        author="",
        protocol=PROTOCOL,
        data=data_hash(published),
        figures={name: interval.to_json() for name, interval in tested.test.items()},
        seconds=round(seconds, 1),
        joules=None if before is None or after is None else round(after - before, 1),
        settings=json.loads(json.dumps(asdict(settings))),
    )


def _joules() -> float | None:
    try:
        return int(POWER.read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return None


def run_clean(folder: Path, asked: Asked) -> Entry:
    """``run`` in a new process: nothing of this one can help it.

    Raises:
        BadInputError: If the run ends with an error, which it says.
    """
    given = json.dumps({"folder": str(folder), **asdict(asked), "cache": str(asked.cache or "")})
    command = [sys.executable, "-m", "models.leaderboard", given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BadInputError(f"{asked.model} could not be run on {folder.name}")
    return Entry(**json.loads(done.stdout.strip().splitlines()[-1]))


def require_reproduced(entry: Entry, again: Entry, *, tolerance: float) -> None:
    """Hold an entry against a second run of it.

    Raises:
        NotReproducedError: If protocol, data or a figure differ; says which.
    """
    for what in ("protocol", "data"):
        if getattr(entry, what) != getattr(again, what):
            raise NotReproducedError(f"{entry.name}: its {what} is not this one")
    for metric, told in again.figures.items():
        claimed, found = entry.figures.get(metric, {}).get("mean"), told["mean"]
        if claimed is None or abs(claimed - found) > tolerance * max(found, 1e-9):
            raise NotReproducedError(
                f"{entry.name}: {metric} is said to be {claimed}, a second run found {found}"
            )


def add(board: Path, folder: Path, asked: Asked, *, author: str) -> Entry:
    """Run twice, each time from a clean state, and keep the entry if both agree to the last digit.

    Raises:
        NotReproducedError: If they do not.
    """
    first = replace(run_clean(folder, asked), author=author)
    require_reproduced(first, run_clean(folder, asked), tolerance=1e-6)
    write_json(board / f"{first.name}{_ENDS_WITH}", asdict(first))
    return first


def check(board: Path, folder: Path, name: str, *, cache: Path) -> Entry:
    """Run an entry again; one that does not come to its figures is taken off the board.

    Raises:
        BadInputError: If there is no such entry.
        NotReproducedError: If it does not; it is off the board then, kept as ``<name>.refused``.
    """
    path = board / f"{name}{_ENDS_WITH}"
    if not path.exists():
        raise BadInputError(f"there is no entry {name} in {board}")
    entry = Entry(**json.loads(path.read_text(encoding="utf-8")))
    asked = Asked(entry.model, entry.preset, entry.seed, entry.settings, cache)
    again = run_clean(folder, asked)
    try:
        require_reproduced(entry, again, tolerance=TOLERANCE)
    except NotReproducedError:
        path.replace(path.with_suffix(".refused"))
        raise
    # Its name says what its settings were called, which the run was not told.
    return replace(again, name=name, author=entry.author)


def entries(board: Path) -> list[Entry]:
    """All entries, set by set, the best NDCG@10 of each first."""
    read = [
        Entry(**json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(board.glob(f"*{_ENDS_WITH}"))
    ]
    return sorted(read, key=lambda one: (one.set_name, -one.figures["ndcg_at_10"]["mean"]))


def table(found: Sequence[Entry]) -> list[str]:
    """The board as Markdown."""
    lines = [
        "| entry | recall@10 | NDCG@10 | fit, s | joules | author |",
        "|---|---|---|---|---|---|",
    ]
    for each in found:
        cells = [_cell(each.figures[name]) for name in ("recall_at_10", "ndcg_at_10")]
        joules = "unknown" if each.joules is None else f"{each.joules:.0f}"
        cells += [f"{each.seconds:.1f}", joules, each.author]
        lines.append(f"| {each.name} | {' | '.join(cells)} |")
    return lines


def _cell(told: dict[str, float]) -> str:
    return f"{told['mean']:.4f} [{told['low']:.4f}, {told['high']:.4f}]"


def page(found: Sequence[Entry]) -> str:
    """The board as a page: of each set the intervals drawn, and the table."""
    style = "body{font:15px system-ui;margin:2rem;max-width:70rem;color:#1f2933}"
    style += "td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #e4e7eb}"
    sections = [
        _section(name, list(some)) for name, some in groupby(found, key=lambda one: one.set_name)
    ]
    return (
        f"<!doctype html><meta charset=utf-8><title>Leaderboard</title><style>{style}</style>"
        f"<h1>Leaderboard</h1><p>{escape(PROTOCOL)}. 95 % intervals over users.</p>"
        + "".join(sections)
    )


def _section(name: str, found: Sequence[Entry]) -> str:
    from models.bootstrap import Interval
    from models.plots import intervals

    def interval(told: dict[str, float]) -> Interval:
        return Interval(told["mean"], told["low"], told["high"])

    groups = {
        title: [(one.name.removeprefix(f"{name}-"), interval(one.figures[metric])) for one in found]
        for metric, title in (("ndcg_at_10", "NDCG@10"), ("recall_at_10", "recall@10"))
    }
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(found)]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[2:]
    )
    return (
        f"<h2>{escape(name)}</h2>{intervals(groups, label='mean over users')}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _main() -> None:
    given = json.loads(sys.argv[1])
    folder, cache = Path(given.pop("folder")), given.pop("cache")
    entry = run(folder, Asked(**given, cache=Path(cache) if cache else None))
    sys.stdout.write(json.dumps(asdict(entry)) + "\n")


if __name__ == "__main__":
    _main()
