"""What does each step to a smaller ranking transformer give, in bytes, milliseconds and NDCG?

    python -m benchmarks.smaller [--home HOME] [--until DAY] [--seeds N] [--work FOLDER]

HOME is a built one (``vitrine up --source … --once``): its marts and features are read, and lists
are made for windows before DAY (to train and to choose the epoch) and for [DAY, the day after the
last landed one) (to test). The teacher is the ranking transformer of the preset ``base``, the rows
below it are what the preset ``small`` does to it, and what it could have done instead.

Requests are test users with all their candidates, one at a time on one thread, the models taking
turns in an order drawn anew each time; a ratio is of the medians of one round. NDCG@10 is that of
the ranker alone, compared with the teacher on the same lists. --work keeps the lists for another
call.

Writes ``benchmarks/results/smaller.json``, ``.md`` and ``.png``.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.machine import RESULTS, keep, machine, summary
from benchmarks.smaller_lists import World, default_until, read_world
from benchmarks.smaller_page import SMALL, TEACHER, plot, table
from cli.command import day_after_last
from domain.settings import Settings
from models.artifacts import WEIGHTS_NAME
from models.bootstrap import bootstrap_interval
from models.device import Device, training_threads
from models.presets import PRESETS
from models.ranking.config import SmallerConfig
from models.ranking.distill import (
    Lesson,
    fit_student,
    lesson_of,
    prune_and_mend,
    prune_items,
)
from models.ranking.features import item_slice
from models.ranking.judge import list_ndcg, score_lists
from models.ranking.lists import RankingLists, concatenate
from models.ranking.train import TrainContext, fit_transformer
from models.ranking.transformer import CandidateTransformer

COLUMNS: Final = item_slice(PRESETS["small"].sources)
CONFIG: Final = PRESETS["small"].smaller or SmallerConfig()
FOLDED: Final = "teacher, folded"
REQUESTS: Final = 40
ROUNDS: Final = 15
FIRST_SEED: Final = 7


@dataclass(frozen=True)
class Row:
    """One way to serve: the transformer as it is called, and how many bytes it is on disk."""

    model: CandidateTransformer
    size: int


def context(seed: int) -> TrainContext:
    return TrainContext(seed=seed, device=Device(torch.device("cpu"), False, "one thread"))


def ends_of(world: World, *, seed: int, scratch: Path, say: Callable[[str], None]) -> dict:
    """Only the teacher and what the preset makes of it."""
    teacher, lesson = taught(world, seed)
    student, _ = fit_student(teacher, lesson, config=CONFIG, context=context(seed))
    prune_and_mend(student, lesson, config=CONFIG, context=context(seed))
    say("small again")
    return {TEACHER: row(teacher, scratch), SMALL: row_in_8_bits(student, scratch)}


def rows_of(world: World, *, seed: int, scratch: Path, say: Callable[[str], None]) -> dict:
    """Train everything once; name → row. Rows after the first are folded, as serving has them."""
    teacher, lesson = taught(world, seed)
    say("teacher trained")
    rows = {
        TEACHER: row(teacher, scratch),
        FOLDED: folded_row(teacher, scratch),
        "teacher, in 8 bits": row_in_8_bits(teacher, scratch),
    }
    labels_only = replace(CONFIG, label_share=1.0)
    student, _ = fit_student(teacher, lesson, config=labels_only, context=context(seed))
    rows["student of the labels"] = folded_row(student, scratch)
    say("student of the labels trained")
    student, _ = fit_student(teacher, lesson, config=CONFIG, context=context(seed))
    rows["small: distilled"] = folded_row(student, scratch)
    say("student distilled")
    pruned = copy.deepcopy(student)
    prune_items(pruned, CONFIG.pruned_share)
    rows["small: pruned"] = folded_row(pruned, scratch)
    prune_and_mend(student, lesson, config=CONFIG, context=context(seed))
    rows["small: mended"] = folded_row(student, scratch)
    rows[SMALL] = row_in_8_bits(student, scratch)
    return rows


def taught(world: World, seed: int) -> tuple[CandidateTransformer, Lesson]:
    """The teacher, and what a student learns from."""
    validation = concatenate(list(world.validation.values()))
    teacher, _ = fit_transformer(
        world.train,
        validation,
        text_VE=world.text_VE,
        item_columns=COLUMNS,
        config=PRESETS["small"].transformer,
        context=context(seed),
    )
    return teacher, lesson_of(teacher, world.train, validation, item_columns=COLUMNS)


def row(model: CandidateTransformer, scratch: Path) -> Row:
    model.save(scratch)
    return Row(model, (scratch / WEIGHTS_NAME).stat().st_size)


def folded_row(model: CandidateTransformer, scratch: Path) -> Row:
    return row(copy.deepcopy(model).folded(), scratch)


def row_in_8_bits(model: CandidateTransformer, scratch: Path) -> Row:
    """What is read back, and its bytes."""
    model.save_in_8_bits(scratch)
    read = CandidateTransformer.load(scratch, text_VE=model.text_VE)
    return Row(read.folded(), (scratch / WEIGHTS_NAME).stat().st_size)


def per_list(scores_LC: np.ndarray, labels_LC: np.ndarray) -> np.ndarray:
    """NDCG@10 of each list."""
    return np.array(
        [list_ndcg(scores_LC[at][None], labels_LC[at][None]) for at in range(len(labels_LC))]
    )


def changes(rows: Mapping[str, Row], lists: RankingLists) -> dict[str, tuple[float, np.ndarray]]:
    """Row → its mean NDCG@10, and each list's difference to the teacher's in shares of its mean."""
    values = {
        name: per_list(score_lists(row.model, lists, item_columns=COLUMNS), lists.labels_LC)
        for name, row in rows.items()
    }
    whole = values[TEACHER]
    return {
        name: (float(each.mean()), (each - whole) / whole.mean()) for name, each in values.items()
    }


def judgement(ndcg: float, change: np.ndarray) -> dict[str, object]:
    return {
        "ndcg_at_10": round(float(ndcg), 5),
        "change": bootstrap_interval(change).to_json(),
        "lists": len(change),
    }


def requests(lists: RankingLists) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """One user's history, candidates without padding and features at a time, evenly drawn."""
    for at in np.linspace(0, len(lists) - 1, REQUESTS).astype(int):
        count = int(lists.mask_LC[at].sum())
        yield (
            torch.from_numpy(lists.history_LT[at : at + 1]),
            torch.from_numpy(lists.item_index_LC[at : at + 1, :count].copy()),
            torch.from_numpy(lists.features_LCF[at : at + 1, :count, COLUMNS].copy()),
        )


def milliseconds(
    calls: Mapping[str, Callable[..., torch.Tensor]], lists: RankingLists
) -> dict[str, list[float]]:
    """Name → the median of a request in each round; each goes to all, in an order drawn anew."""
    asked = list(requests(lists))
    drawn = np.random.default_rng(FIRST_SEED)
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            took: dict[str, list[float]] = {name: [] for name in calls}
            for given in asked:
                # In a fixed order each would always find the caches as the same other left them.
                for name in drawn.permutation(list(calls)):
                    began = time.perf_counter()
                    calls[name](*given)
                    took[name].append(1000 * (time.perf_counter() - began))
            if number:  # The first round warms up.
                for name, each in took.items():
                    rounds[name].append(statistics.median(each))
    return rounds


def torchao_calls(teacher: CandidateTransformer) -> dict[str, Callable[..., torch.Tensor]]:
    """The folded teacher with torchao's own int8 products, for their milliseconds."""
    from torchao.quantization import (
        Int8DynamicActivationInt8WeightConfig,
        Int8WeightOnlyConfig,
        quantize_,
    )

    calls: dict[str, Callable[..., torch.Tensor]] = {}
    for name, config in (
        ("teacher, torchao int8 weights", Int8WeightOnlyConfig(set_inductor_config=False)),
        (
            "teacher, torchao int8 weights and activations",
            Int8DynamicActivationInt8WeightConfig(set_inductor_config=False),
        ),
    ):
        calls[name] = copy.deepcopy(teacher).folded()
        quantize_(calls[name], config)  # type: ignore[arg-type]
    return calls


def speed(rows: Mapping[str, Row], lists: RankingLists) -> dict[str, dict]:
    """Row → ms a request and how many times faster than the teacher, round by round."""
    rounds = milliseconds({name: row.model for name, row in rows.items()}, lists)
    # Apart, for they leave little in the caches; with the folded teacher to be compared with.
    folded = {FOLDED: rows[FOLDED].model}
    slower = milliseconds({**folded, **torchao_calls(rows[TEACHER].model)}, lists)
    found = {
        name: {
            "ms": summary(each),
            "times_faster": times(rounds[TEACHER], each),
            "times_faster_than_folded": times(rounds[FOLDED], each),
        }
        for name, each in rounds.items()
    }
    for name, each in slower.items():
        if name != FOLDED:
            ratio = times(slower[FOLDED], each)
            found[name] = {"ms": summary(each), "times_faster_than_folded": ratio}
    return found


def times(of: list[float], than: list[float]) -> dict[str, float]:
    return summary([a / b for a, b in zip(of, than, strict=True)])


def measure(world: World, *, seeds: int, say: Callable[[str], None]) -> dict:
    """Everything with the first seed, the NDCG of the others, and of all of them together."""
    found: dict = {"rows": {}, "seeds": {}}
    small: dict[str, list[tuple[float, np.ndarray]]] = {task: [] for task in world.test}
    with tempfile.TemporaryDirectory() as name, training_threads(1):
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            is_first = seed == FIRST_SEED
            make = rows_of if is_first else ends_of
            rows = make(world, seed=seed, scratch=Path(name) / "x", say=say)
            judged = {task: changes(rows, lists) for task, lists in world.test.items()}
            for task, each in judged.items():
                small[task].append(each[SMALL])
            found["seeds"][seed] = {task: judgement(*each[-1]) for task, each in small.items()}
            if is_first:
                found |= timed(rows, world.test["any"])
                for title, made in rows.items():
                    tasks = {task: judgement(*each[title]) for task, each in judged.items()}
                    found["rows"][title] = {"bytes": made.size, **tasks}
            say(f"seed {seed} done")
    found["together"] = {
        task: judgement(*(np.mean([each[at] for each in tries], axis=0) for at in (0, 1)))
        for task, tries in small.items()
    }
    return found


def timed(rows: Mapping[str, Row], lists: RankingLists) -> dict[str, object]:
    counts = [float(given[1].shape[1]) for given in requests(lists)]
    return {"speed": speed(rows, lists), "candidates": summary(counts)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="default: the settings' home")
    parser.add_argument("--until", type=date.fromisoformat, help="default: 28 days before the end")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where lists are kept; default: nowhere")
    asked = parser.parse_args()
    of = Settings(home=asked.home) if asked.home else Settings()
    if not of.marts.is_dir():
        print(
            "smaller: no built home; run `vitrine up --source online_retail --data FOLDER --once`"
        )
        return
    end = day_after_last(of)
    until = asked.until or default_until(end)
    with tempfile.TemporaryDirectory() as scratch:
        work = asked.work or Path(scratch)
        world = read_world(of, work, preset=PRESETS["small"], until=until, end=end)
    about = {
        "command": f"python -m benchmarks.smaller --until {until} --seeds {asked.seeds}",
        "machine": machine("torch", "torchao", "numpy"),
        "requests": REQUESTS,
        "rounds": ROUNDS,
        "until": str(until),
        "end": str(end),
    }
    result = {**about, **measure(world, seeds=asked.seeds, say=lambda text: print("…", text))}
    keep("smaller", result, table(result))
    plot(result, RESULTS / "smaller.png")


if __name__ == "__main__":
    main()
