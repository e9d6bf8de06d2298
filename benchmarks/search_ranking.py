"""What do pre-training and augmented texts add to a small BERT that ranks the items of a query?

    python -m benchmarks.search_ranking --data FOLDER [--limit QUERIES] [--seeds 7 8]

FOLDER holds home_depot_search_relevance: real queries, titles and relevance 1..3, for evaluation
only. Queries are split, and no test query is seen in training in any order of its words. The gain
of an item is 2^(relevance - 1) - 1, so that what is irrelevant gains nothing; judged are the test
queries for which one order of the judged items is better than another, by NDCG@10. Ties count
against a model; BM25, which ties where a query is misspelt, is also shown with ties drawn by lot.
What is learned (vocabulary, pre-training, ranker) sees training queries and the titles of the
catalog, for a shop knows its catalog before it knows what will be asked. No dropout: what is read
once or twice is not learned by heart (Geiping and Goldstein, https://arxiv.org/abs/2212.14034).
"""

import argparse
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.machine import RESULTS, keep, machine
from models.bootstrap import bootstrap_interval
from models.language.augmentation import Augmentation
from models.language.config import BertSize, PretrainingConfig, RankerConfig
from models.language.judged import JudgedList, ndcg_of_lists, split_by_query
from models.language.mlm import LanguageModel, pretrain
from models.language.ranker import train_ranker
from models.language.tokenizer import WordPieceTokenizer
from models.loop import History

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "home_depot_search_relevance"
SHARES = {"train": 0.75, "validation": 0.05, "test": 0.2}
SPLIT_SEED = 3
VOCABULARY = 5_000
K = 10
RANDOM, BM25 = "random", "BM25, ties by lot"
BM25_TIES = "BM25, ties against it"
SCRATCH, AUGMENTED = "BERT from scratch", "BERT + augmentation"
PRETRAINED, BOTH = "BERT + pre-training", "BERT + both"
ARMS = {SCRATCH: (False, False), PRETRAINED: (True, False)}
ARMS |= {AUGMENTED: (False, True), BOTH: (True, True)}
PAIRED = ((PRETRAINED, SCRATCH), (AUGMENTED, SCRATCH), (BOTH, SCRATCH), (BOTH, PRETRAINED))
PAIRED += (
    (BOTH, AUGMENTED),
    (BM25, RANDOM),
    (SCRATCH, RANDOM),
    (SCRATCH, BM25),
    (PRETRAINED, BM25),
    (BOTH, BM25),
)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is learned from and judged: lists of the three parts, and the titles of the catalog."""

    train: list[JudgedList]
    validation: list[JudgedList]
    test: list[JudgedList]
    titles: list[str]


def read(folder: Path, *, limit: int) -> Task:
    """The judged queries, split; ``limit`` takes the first queries by their hash, 0 takes all."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "judgements.parquet")
    items: dict[str, list[tuple[str, float]]] = defaultdict(list)
    columns = (table.column(name).to_pylist() for name in ("search_term", "product_title"))
    for query, title, relevance in zip(
        *columns, table.column("relevance").to_pylist(), strict=True
    ):
        items[query].append((title, 2.0 ** (relevance - 1.0) - 1.0))
    lists = [
        JudgedList(query, tuple(text for text, _ in each), tuple(gain for _, gain in each))
        for query, each in sorted(items.items())
    ]
    parts = split_by_query(lists, shares=SHARES, seed=SPLIT_SEED)
    if limit:
        parts = {name: part[: round(limit * SHARES[name])] for name, part in parts.items()}
    test = [each for each in parts["test"] if each.is_telling]
    titles = sorted({text for part in parts.values() for each in part for text in each.item_texts})
    return Task(parts["train"], parts["validation"], test, titles)


def by_lot(lists: Sequence[JudgedList], scores: Sequence[Values], *, times: int = 20) -> Values:
    """The NDCG of each list, its ties broken by lot: the mean over some lots.

    Without a score for any item this is a random order.
    """
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(times):
        orders = [
            np.lexsort((generator.random(len(each)), each)).argsort().astype(np.float64)
            for each in scores
        ]
        drawn.append(ndcg_of_lists(orders, lists, k=K))
    return np.asarray(np.mean(drawn, axis=0))


def bm25_scores(lists: Sequence[JudgedList], titles: Sequence[str]) -> list[Values]:
    """bm25s over all titles, with the words and stems of the platform's own search."""
    import bm25s

    from bentos.recommender.spelling import stem, words_of

    def stems(text: str) -> list[str]:
        return [stem(word) for word in words_of(text)] or [""]

    index = bm25s.BM25()
    index.index([stems(title) for title in titles], show_progress=False)
    place = {title: row for row, title in enumerate(titles)}
    scores = []
    for each in lists:
        known = [word for word in stems(each.query_text) if word in index.vocab_dict]
        of_all = index.get_scores(known) if known else np.zeros(len(titles))
        scores.append(of_all[[place[text] for text in each.item_texts]].astype(np.float64))
    return scores


def tell(
    stage: str, message: str, *, done: float | None = None, total: float | None = None
) -> None:
    print(f"{stage}: {message} ({done} of {total})", file=sys.stderr, flush=True)


class Run:
    """The arms of all seeds; the result is written after each, so that a long run is never lost."""

    def __init__(self, task: Task, asked: argparse.Namespace) -> None:
        self.task, self.asked = task, asked
        self.size = BertSize(layers=asked.layers, width=asked.width, dropout=0.0)
        self.tokenizer = WordPieceTokenizer.train(
            [*task.titles, *(each.query_text for each in task.train)], vocabulary_size=VOCABULARY
        )
        self.values: dict[str, list[Values]] = defaultdict(list)
        scores = bm25_scores(task.test, task.titles)
        self.values[RANDOM].append(by_lot(task.test, [np.zeros_like(each) for each in scores]))
        self.values[BM25].append(by_lot(task.test, scores))
        self.values[BM25_TIES].append(ndcg_of_lists(scores, task.test, k=K))
        self.learned: dict[str, list[dict[str, object]]] = defaultdict(list)

    def pretrained(self, seed: int) -> LanguageModel:
        """Titles alone, and training queries with the titles that were judged for them."""
        config = PretrainingConfig(size=self.size, seed=seed)
        loop = replace(config.loop, epochs=self.asked.pretrain_epochs, seed=seed)
        loop = replace(loop, report_every_s=20.0, checkpoint_every_s=120.0)
        pairs = [pair for each in self.task.train for pair in each.pairs]
        model, history = pretrain(
            [*self.task.titles, *pairs],
            self.tokenizer,
            config=replace(config, loop=loop),
            held_out=[pair for each in self.task.validation for pair in each.pairs],
            checkpoint=self._checkpoint("pretraining", seed),
            progress=tell,
        )
        self._note("pre-training", seed, history)
        return model

    def arm(self, name: str, seed: int, pretrained: LanguageModel | None) -> None:
        """Fine-tune one ranker and judge it."""
        config = RankerConfig(size=self.size, seed=seed)
        # The last epoch is judged: so few validation queries would choose the best one by lot.
        loop = replace(config.loop, epochs=self.asked.epochs, validate_every=self.asked.epochs)
        loop = replace(loop, seed=seed, report_every_s=20.0, checkpoint_every_s=120.0)
        is_pretrained, is_augmented = ARMS[name]
        ranker, history = train_ranker(
            self.task.train,
            self.tokenizer,
            config=replace(config, loop=loop),
            pretrained=pretrained if is_pretrained else None,
            augmentation=Augmentation() if is_augmented else None,
            validation=self.task.validation,
            checkpoint=self._checkpoint(name, seed),
            progress=tell,
        )
        scores = ranker.scores_of_lists(self.task.test)
        self.values[name].append(ndcg_of_lists(scores, self.task.test, k=K))
        self._note(name, seed, history)

    def _checkpoint(self, name: str, seed: int) -> Path | None:
        file = f"{name.replace(' ', '-')}-{seed}.safetensors"
        return self.asked.work / file if self.asked.work else None

    def _note(self, name: str, seed: int, history: History) -> None:
        self.learned[name].append(
            {
                "seed": seed,
                "loss": [round(each, 4) for each in history.train_loss],
                "validation": [round(each, 4) for each in history.validation],
                "seconds": round(history.seconds),
            }
        )

    def result(self) -> dict[str, object]:
        """All that was measured so far."""
        mean = {name: np.mean(each, axis=0) for name, each in self.values.items()}
        rows = {
            name: {
                **bootstrap_interval(each).to_json(),
                "seeds": [round(float(values.mean()), 4) for values in self.values[name]],
            }
            for name, each in mean.items()
        }
        paired = {
            f"{left} - {right}": bootstrap_interval(mean[left] - mean[right]).to_json()
            for left, right in PAIRED
            if left in mean and right in mean
        }
        return {
            "machine": machine("torch", "transformers", "tokenizers", "bm25s", "numpy"),
            "threads": torch.get_num_threads(),
            "data": self.asked.data.name,
            "counts": counts(self.task),
            "size": asdict(self.size),
            "vocabulary": len(self.tokenizer),
            "epochs": self.asked.epochs,
            "pretrain_epochs": self.asked.pretrain_epochs,
            "limit": self.asked.limit,
            "ndcg_at_10": rows,
            "paired": paired,
            "learned": dict(self.learned),
        }


def counts(task: Task) -> dict[str, int]:
    return {
        "train_queries": sum(each.is_telling for each in task.train),
        "train_pairs": sum(len(each.labels) for each in task.train if each.is_telling),
        "test_queries": len(task.test),
        "test_pairs": sum(len(each.labels) for each in task.test),
        "titles": len(task.titles),
        "pretrain_texts": len(task.titles) + sum(len(each.labels) for each in task.train),
    }


def shown(interval: Mapping[str, float], *, sign: str = "") -> str:
    return (
        f"{interval['mean']:{sign}.4f} [{interval['low']:{sign}.4f}, {interval['high']:{sign}.4f}]"
    )


def table(result: Mapping) -> list[str]:
    """The result as a page."""
    count, size = result["counts"], result["size"]
    seeds = max(len(row["seeds"]) for row in result["ndcg_at_10"].values())
    lines = [
        "# A small BERT as a ranker of search results",
        "",
        f"`python -m benchmarks.search_ranking`: {result['data']}, {count['test_queries']:,} test",
        f"queries with {count['test_pairs']:,} judged items, none of them seen in training;",
        f"{count['train_queries']:,} training queries with {count['train_pairs']:,} items.",
        f"BERT: {size['layers']} layers, {size['width']} wide, {result['vocabulary']:,} pieces;",
        f"pre-trained {result['pretrain_epochs']} epochs on {count['pretrain_texts']:,} texts,",
        f"fine-tuned {result['epochs']} epochs. Seeds: {seeds}.",
        "",
        f"Machine: {result['machine']}, {result['threads']} thread(s), other work running.",
        "",
        "| row | NDCG@10 [95 %] | by seed |",
        "|---|---|---|",
    ]
    for name, row in sorted(result["ndcg_at_10"].items(), key=lambda each: each[1]["mean"]):
        by_seed = ", ".join(f"{each:.4f}" for each in row["seeds"])
        lines.append(f"| {name} | {shown(row)} | {by_seed} |")
    lines += ["", "| difference, paired by query | mean [95 %] |", "|---|---|"]
    lines += [f"| {name} | {shown(each, sign='+')} |" for name, each in result["paired"].items()]
    lines += ["", "| learned | loss by epoch | validation | wall s |", "|---|---|---|---|"]
    for name, each in result["learned"].items():
        for run in each:
            loss, validation = (", ".join(map(str, run[key])) for key in ("loss", "validation"))
            lines.append(
                f"| {name}, seed {run['seed']} | {loss} | {validation} | {run['seconds']} |"
            )
    lines += [
        "",
        "- Intervals are over queries: they say what other queries would give, not other seeds.",
        "- Judged items are close to the query already: a random order is far above 0. A query",
        "  counts if its judged items differ; ties count against a model, BERT has none.",
        "- BM25 is bm25s over the titles, with the words and stems of the platform's search.",
        "- Validation of pre-training: the geometric mean probability of the hidden words.",
    ]
    return lines


def plot(result: Mapping, path: Path) -> None:
    """Both tables as one picture."""
    from matplotlib.figure import Figure

    from benchmarks.pictures import save
    from models.plots import ACCENT, GRID, HIGHLIGHT, INK

    rows = sorted(result["ndcg_at_10"].items(), key=lambda each: -each[1]["mean"])
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    groups = (("NDCG@10", rows, False), ("paired difference", [*result["paired"].items()], True))
    for at, (title, each, is_difference) in enumerate(groups):
        axes = figure.add_subplot(1, 2, at + 1)
        for place, (_, interval) in enumerate(each):
            is_sure = interval["low"] > 0 or interval["high"] < 0
            color = HIGHLIGHT if is_difference and is_sure else ACCENT
            axes.plot([interval["low"], interval["high"]], [place] * 2, color=color, lw=2.4)
            axes.plot(interval["mean"], place, "o", color=color, ms=6)
        axes.set_yticks(range(len(each)), [name for name, _ in each], color=INK)
        axes.invert_yaxis()
        axes.set_title(f"{title}, 95 % over queries", loc="left", fontsize=11, color=INK)
        axes.grid(axis="x", color=GRID)
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if is_difference:
            axes.axvline(0.0, color=INK, lw=1)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--work", type=Path, help="checkpoints: a killed run goes on from them")
    parser.add_argument("--limit", type=int, default=0, help="queries; a quick look, nothing kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pretrain-epochs", type=int, default=2)
    asked = parser.parse_args()
    if not asked.data.exists():
        print("search_ranking: no data; name a folder with --data FOLDER; not measured")
        return
    logging.basicConfig(level=logging.WARNING)
    run = Run(read(asked.data, limit=asked.limit), asked)
    save(run, asked)
    for seed in asked.seeds:
        pretrained = run.pretrained(seed)
        for name in ARMS:
            run.arm(name, seed, pretrained)
            save(run, asked)


def save(run: Run, asked: argparse.Namespace) -> None:
    """Write what there is; a limited run is only shown."""
    result = run.result()
    if asked.limit:
        print("\n".join(table(result)), flush=True)
        return
    keep("search_ranking", result, table(result))
    plot(result, RESULTS / "search_ranking.png")


if __name__ == "__main__":
    main()
