"""How fast is a sequence transformer trained, against RecTools, RecBole and SASRec.pytorch?

    python benchmarks/training.py --data FOLDER --rectools PYTHON --recbole PYTHON --pmixer FOLDER

One set (``models.sets``), width 64, two blocks, histories of 50, the same epochs for all: with 256
negatives, and with the whole catalog. PYTHON is the interpreter of an environment that has the peer
(they do not fit into ours), FOLDER a clone of pmixer/SASRec.pytorch; who is not named is not
measured, and without any peer nothing is written down. All take turns in one run, each in a process
of its own with all cores, and are asked about the same interaction of every user, which none has
seen, among all items not had.

Also measured: seconds from the raw files to a model whose test NDCG@10 is what the last line says.
Writes ``benchmarks/results/training.json``, ``.md`` and ``.png``; on a GPU ``training_gpu``.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.machine import RESULTS, has_gpu, keep, machine, summary, where
from benchmarks.pictures import bars

if TYPE_CHECKING:
    from models.retrieval.next_item import NextItemNetwork

Ints = npt.NDArray[np.int64]
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "amazon_2014_beauty"
PEERS = Path(__file__).parent / "peers" / "sasrec.py"
LOSSES = {"pmixer": ("pairs",), "rectools": ("sampled", "full"), "recbole": ("full",)}
NEGATIVES = {"sampled": 256, "full": 0}
BATCH_TARGETS = 2_048
"""Ours; twice the default: as good after two epochs as half of it, and a quarter faster."""
GPU_BATCH_TARGETS = 4_096
"""From the raw files on a GPU, where steps are bound by launching: a quarter of the default's."""


def write_rows(folder: Path, path: Path) -> int:
    """The set but for each user's last interaction; the last but one is asked about. Targets."""
    from models.sets import read_set

    published = read_set(folder)
    examples = published.examples
    user = examples.column("user_id").combine_chunks().dictionary_encode().indices.to_numpy()
    item = published.catalog.index_of(examples.column("item_id")).astype(np.int64) - 2
    back = published.test_day.toordinal() - np.array(
        [day.toordinal() for day in examples.column("event_date").to_pylist()]
    )
    order = np.lexsort((-back, user))
    kept = order[back[order] > 0]
    is_asked = back[kept] == 1
    np.savez(path, user=user[kept].astype(np.int64), item=item[kept], is_asked=is_asked)
    return int((~is_asked).sum() - len(np.unique(user)))


def ours(rows: Path, out: Path, *, loss: str, epochs: int, learning_rate: float) -> None:
    """What the child does: train ours, and write what the peers write."""
    import torch

    from models.device import choose_device
    from models.loop import fit
    from models.retrieval.config import NextItemConfig
    from models.retrieval.next_item import NextItemNetwork, make_loss, positions_of

    content = np.load(rows, allow_pickle=False)
    user, item = (content[name][~content["is_asked"]] for name in ("user", "item"))
    size = int(content["item"].max()) + 3
    config = replace(
        NextItemConfig(),
        width=64,
        blocks=2,
        dropout=0.2,
        negatives=NEGATIVES[loss],
        heads=1,
        batch_targets=BATCH_TARGETS,
    )
    loop = replace(config.loop, epochs=epochs, learning_rate=learning_rate, patience=0)
    device = choose_device()
    positions = positions_of(user, item + 2, catalog_size=size, config=config, device=device)
    torch.manual_seed(config.seed)
    network = NextItemNetwork(config, size)
    # The first optimizer imports torch's compiler; the peers' clocks start when they have theirs.
    torch.optim.AdamW(network.parameters())
    moments = [time.perf_counter()]

    def tell(_stage: str, message: str, *, done: float | None = None, total: float | None = None):
        if " done, " in message:
            moments.append(time.perf_counter())
            print(f"ours, {loss}: {message} of {done} of {total}", file=sys.stderr)

    fit(network, positions, make_loss(config, positions.draw_V, device), config=loop, progress=tell)
    best = best_of(network, user, item, users=int(content["user"].max()) + 1)
    np.savez(out, seconds=np.diff(moments), best=best)


def best_of(network: "NextItemNetwork", user: Ints, item: Ints, *, users: int) -> Ints:
    """Ten items for each user, best first, none that the user had; -1 where the user has none."""
    import torch

    from models.metrics import top_k

    length = network.config.history_length
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    histories = [rows + 2 for rows in np.split(item, starts[1:])]
    best = np.full((users, 10), -1)
    with torch.inference_mode():
        items_VD = network.items()
        for begin in range(0, len(starts), 512):
            some = histories[begin : begin + 512]
            padded = np.stack(
                [np.pad(had[-length:], (max(0, length - len(had)), 0)) for had in some]
            )
            given_BT = torch.from_numpy(padded).to(items_VD.device)
            logits = (network.last_states(given_BT, items_VD) @ items_VD.T).cpu().numpy()
            logits[:, :2] = -np.inf
            for row, had in enumerate(some):
                logits[row, had] = -np.inf
            best[user[starts[begin : begin + 512]]] = top_k(logits, k=10) - 2
    return best


def ndcg(rows: Path, best: np.ndarray) -> float:
    """NDCG@10 over all users: the asked item's place in each user's list."""
    content = np.load(rows, allow_pickle=False)
    user, item = (content[name][content["is_asked"]] for name in ("user", "item"))
    found = best[user] == item[:, None]
    return float((found / np.log2(np.arange(2, 12))).sum(axis=1).mean())


def to_quality(folder: Path) -> dict[str, object]:
    """From raw files to a tested model, text included, in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--quality", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"seconds": round(time.perf_counter() - began, 1), **told}


def quality(folder: Path) -> None:
    """What the child does: read, embed the titles, train, judge on the test interaction."""
    from models.retrieval.base import FitContext
    from models.retrieval.config import NextItemConfig
    from models.retrieval.next_item import NextItemRetriever
    from models.sets import read_set
    from models.text import Encoder
    from models.trials import Trial

    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d ms: %(message)s")
    published = read_set(folder)
    trial = Trial(published)
    text_VE = Encoder().embed_catalog(published.catalog, None)
    config = NextItemConfig()
    if has_gpu():
        config = replace(config, batch_targets=GPU_BATCH_TARGETS)
    model = NextItemRetriever.fit(
        trial.train,
        published.catalog,
        until=trial.until,
        config=config,
        context=FitContext(text_VE=text_VE),
    )
    taken = trial.test.take(model.scores)
    told = {name: round(float(each.mean()), 4) for name, each in taken.items()}
    print(json.dumps({"batch_targets": config.batch_targets, **told}))


def measure(
    asked: argparse.Namespace, scratch: Path, save: Callable[[dict[str, object]], None]
) -> None:
    """Everybody in turns; who, loss → seconds of an epoch and NDCG; saved after each."""
    rows = scratch / "rows.npz"
    targets = write_rows(asked.data, rows)
    runs = [("ours", "sampled"), ("ours", "full")]
    runs += [(who, loss) for who in LOSSES if getattr(asked, who) for loss in LOSSES[who]]
    runs = [run for run in runs if ", ".join(run) not in asked.without]
    found: dict[str, dict[str, object]] = {}
    for who, loss in runs:
        out = scratch / "out.npz"
        given = ["--rows", str(rows), "--out", str(out), "--loss", loss]
        given += ["--epochs", str(asked.epochs)]
        if who == "ours":
            command = [sys.executable, __file__, "--rate", str(asked.rate), *given]
        elif who == "pmixer":
            command = [asked.rectools, str(PEERS), who, *given, "--folder", str(asked.pmixer)]
        else:
            command = [getattr(asked, who), str(PEERS), who, *given]
        subprocess.run(command, check=True)
        content = np.load(out, allow_pickle=False)
        found[f"{who}, {loss}"] = {
            "seconds_an_epoch": summary(content["seconds"].tolist()),
            "targets_per_s": round(targets / float(np.median(content["seconds"]))),
            "ndcg_at_10": round(ndcg(rows, content["best"]), 4),
        }
        if who != "ours":
            found[f"{who}, {loss}"]["versions"] = str(content["versions"])
        print(who, loss, found[f"{who}, {loss}"], file=sys.stderr)
        save({"targets": targets, "epochs": asked.epochs, "runs": found})


AGAINST = {"sampled": "ours, sampled", "full": "ours, full", "pairs": "ours, sampled"}


def table(result: dict) -> list[str]:
    """The result as a page."""
    about = result["machine"]
    lines = [
        "# Training a sequence transformer",
        "",
        f"![Targets a second]({result['name']}.png)",
        "",
        f"`python benchmarks/training.py`: {result['data']}, {result['targets']:,} targets",
        f"an epoch, {result['epochs']} epochs, width 64, two blocks, histories of 50.",
        "",
        f"Machine: {result['where']}; {about}.",
        "",
        "| who, loss | s an epoch | targets/s | ours over it | NDCG@10 after all epochs |",
        "|---|---|---|---|---|",
    ]
    for name, each in result["runs"].items():
        seconds = each["seconds_an_epoch"]
        against = result["runs"][AGAINST[name.split(", ")[1]]]["targets_per_s"]
        lines.append(
            f"| {name} | {seconds['median']:.1f} ({seconds['min']:.1f}-{seconds['max']:.1f}) "
            f"| {each['targets_per_s']:,} | {against / each['targets_per_s']:.1f} x "
            f"| {each['ndcg_at_10']:.4f} |"
        )
    lines += [
        "",
        "- *sampled*: 256 negatives; *full*: softmax over the catalog; *pairs*: one negative each,",
        "  compared with ours, sampled. Seconds: median (least-most) of the epochs.",
        f"- Ours trains at a learning rate of {result['rate']} on batches of {BATCH_TARGETS:,}",
        "  targets, the peers at their 0.001 on batches of 128 users (RecBole: 2,048 prefixes).",
        "- RecTools draws negatives for each position, RecBole learns from every prefix.",
        f"- Ours computes in {result['precision']}; the peers in float32, their default.",
    ]
    versions = {
        name: each["versions"] for name, each in result["runs"].items() if "versions" in each
    }
    if versions:
        told = "; ".join(f"{name}: {text}" for name, text in versions.items())
        lines.append(f"- Versions of the peers: {told}.")
    if "quality" in result:
        told = result["quality"]
        lines.append(
            "- From the raw files to the test, titles embedded anew, in batches of "
            f"{told['batch_targets']:,} targets: {told['seconds']} s for NDCG@10 "
            f"{told['ndcg_at_10']}, recall@10 {told['recall_at_10']}."
        )
    return lines


def precision() -> str:
    """What ours computes in, in words."""
    from models.softmax import product_type

    if has_gpu():
        return "bfloat16 where autocast allows it"
    kind = str(product_type()).removeprefix("torch.")
    return f"float32, its products with the whole catalog in {kind}"


def draw(result: dict, path: Path) -> None:
    """Targets a second of everybody."""
    speeds = {name: each["targets_per_s"] for name, each in result["runs"].items()}
    title = f"{result['data']}, width 64, two blocks, histories of 50"
    ours = [name for name in speeds if name.startswith("ours")]
    bars({title: speeds}, path, label="targets a second, more is better", ours=ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--rectools", help="an interpreter that has rectools")
    parser.add_argument("--recbole", help="an interpreter that has recbole")
    parser.add_argument("--pmixer", type=Path, help="a clone; run by --rectools' interpreter")
    parser.add_argument("--without", action="append", default=[], metavar="'WHO, LOSS'")
    for name in ("--rows", "--out", "--quality"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--loss", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.quality:
        quality(asked.quality)
        return
    if asked.rows:
        ours(asked.rows, asked.out, loss=asked.loss, epochs=asked.epochs, learning_rate=asked.rate)
        return
    if not asked.data.exists():
        print("training: no set; name one with --data FOLDER; not measured")
        return
    name = "training_gpu" if has_gpu() else "training"
    result = {"name": name, "where": where(), "machine": machine("torch", "numpy")}
    result |= {"data": asked.data.name, "rate": asked.rate, "precision": precision()}
    result["quality"] = to_quality(asked.data)

    def save(part: dict[str, object]) -> None:
        result.update(part)
        if asked.rectools or asked.recbole or asked.pmixer:
            keep(name, result, table(result))
            draw(result, RESULTS / f"{name}.png")
        else:
            print("\n".join(table(result)))

    with tempfile.TemporaryDirectory() as scratch:
        measure(asked, Path(scratch), save)


if __name__ == "__main__":
    main()
