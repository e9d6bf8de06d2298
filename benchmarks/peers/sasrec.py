"""Trains another project's SASRec on rows it is handed, in that project's own environment.

``training.py`` runs it with the interpreter that has the peer; it imports nothing of Vitrine.

    python sasrec.py rectools|recbole|pmixer --rows ROWS.npz --out OUT.npz --loss … --epochs 5

ROWS: user, item (both from 0, a user's rows in order) and is_asked, the one to foretell. OUT: the
seconds of each epoch, each user's ten best items among those not had, best first, and versions.
"""

import argparse
import sys
import tempfile
import time
from contextlib import chdir
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np

WIDTH, BLOCKS, HEADS, LENGTH, DROPOUT, RATE, BATCH, NEGATIVES = 64, 2, 1, 50, 0.2, 1e-3, 128, 256
BEST = 10


def rectools(rows: dict, *, loss: str, epochs: int) -> tuple[list[float], np.ndarray]:
    import pandas as pd
    from pytorch_lightning import Callback, Trainer
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    class Clock(Callback):
        seconds: ClassVar[list[float]] = []  # The class's own: the model copies its trainer.

        def on_train_epoch_start(self, *_: object) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self, *_: object) -> None:
            self.seconds.append(time.perf_counter() - self.began)
            print(f"rectools: epoch {len(self.seconds)}: {self.seconds[-1]:.1f} s", file=sys.stderr)

    clock = Clock()
    user, item = rows["user"][~rows["is_asked"]], rows["item"][~rows["is_asked"]]
    frame = pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0})
    frame[Columns.Datetime] = pd.Timestamp("2000-01-01") + pd.to_timedelta(frame.index, unit="s")
    dataset = Dataset.construct(frame)
    model = SASRecModel(
        n_blocks=BLOCKS,
        n_heads=HEADS,
        n_factors=WIDTH,
        dropout_rate=DROPOUT,
        session_max_len=LENGTH,
        loss={"sampled": "sampled_softmax", "full": "softmax"}[loss],
        n_negatives=NEGATIVES,
        lr=RATE,
        batch_size=BATCH,
        epochs=epochs,
        get_trainer_func=lambda: Trainer(
            max_epochs=epochs,
            min_epochs=epochs,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=False,
            callbacks=[clock],
            devices=1,
        ),
    )
    model.fit(dataset)
    found = model.recommend(np.unique(user), dataset, k=BEST, filter_viewed=True)
    best = np.full((rows["user"].max() + 1, BEST), -1)
    best[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
    return clock.seconds, best


def recbole(rows: dict, *, loss: str, epochs: int) -> tuple[list[float], np.ndarray]:
    if loss != "full":
        raise SystemExit("RecBole's SASRec knows the whole softmax and pairs, no sampled softmax")
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.sequential_recommender import SASRec
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    # RecBole leaves log_tensorboard/ where it is run.
    with tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name) / "rows"
        folder.mkdir()
        lines = ["user_id:token\titem_id:token\ttimestamp:float"]
        pairs = zip(rows["user"], rows["item"], strict=True)
        lines += [f"{user}\t{item}\t{at}" for at, (user, item) in enumerate(pairs)]
        (folder / "rows.inter").write_text("\n".join(lines) + "\n")
        config = Config(
            model="SASRec",
            dataset="rows",
            config_dict=_of_recbole(name, epochs=epochs),
        )
        init_seed(7, True)
        dataset = create_dataset(config)
        train, asked, _ = data_preparation(config, dataset)
        model = SASRec(config, train.dataset)
        trainer = Trainer(config, model)
        seconds = []
        for epoch in range(epochs):
            began = time.perf_counter()
            trainer._train_epoch(train, epoch)
            seconds.append(time.perf_counter() - began)
            print(f"recbole: epoch {epoch + 1}: {seconds[-1]:.1f} s", file=sys.stderr)
        best = _best_of_recbole(model, dataset, asked, rows)
    return seconds, best


def _best_of_recbole(model: object, dataset: object, asked: object, rows: dict) -> np.ndarray:
    import torch
    from recbole.utils.case_study import full_sort_topk

    model.eval()  # type: ignore[attr-defined]
    users = np.unique(rows["user"][rows["is_asked"]])
    ids = dataset.token2id("user_id", [str(user) for user in users])  # type: ignore[attr-defined]
    best = np.full((rows["user"].max() + 1, BEST), -1)
    with torch.no_grad():
        for begin in range(0, len(users), 500):
            some = slice(begin, begin + 500)
            _, top = full_sort_topk(ids[some], model, asked, k=BEST, device="cpu")
            tokens = dataset.id2token("item_id", top.numpy())  # type: ignore[attr-defined]
            best[users[some]] = tokens.astype(np.int64)
    return best


def _of_recbole(folder: str, *, epochs: int) -> dict[str, object]:
    split = {"split": {"LS": "valid_only"}, "order": "TO", "group_by": "user", "mode": "full"}
    return {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": split,
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "n_layers": BLOCKS,
        "n_heads": HEADS,
        "hidden_size": WIDTH,
        "inner_size": WIDTH,
        "hidden_dropout_prob": DROPOUT,
        "attn_dropout_prob": DROPOUT,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "learning_rate": RATE,
        "train_batch_size": 2048,
        "epochs": epochs,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "checkpoint_dir": folder,
    }


def pmixer(rows: dict, *, folder: Path, epochs: int) -> tuple[list[float], np.ndarray]:
    import torch

    sys.path.insert(0, str(folder / "python"))
    from model import SASRec
    from utils import WarpSampler

    users, items = int(rows["user"].max()) + 1, int(rows["item"].max()) + 1
    had: dict[int, list[int]] = {user: [] for user in range(1, users + 1)}
    for user, item in zip(
        rows["user"][~rows["is_asked"]], rows["item"][~rows["is_asked"]], strict=True
    ):
        had[int(user) + 1].append(int(item) + 1)
    args = argparse.Namespace(
        device="cuda" if torch.cuda.is_available() else "cpu",
        norm_first=True,
        hidden_units=WIDTH,
        maxlen=LENGTH,
        dropout_rate=DROPOUT,
        num_blocks=BLOCKS,
        num_heads=HEADS,
    )
    torch.manual_seed(7)
    sampler = WarpSampler(had, users, items, batch_size=BATCH, maxlen=LENGTH, n_workers=3)
    model = SASRec(users, items, args).to(args.device)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter.data)
    model.pos_emb.weight.data[0] = 0
    model.item_emb.weight.data[0] = 0
    judge = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.98))
    seconds = []
    for epoch in range(epochs):
        began = time.perf_counter()
        for _ in range((users - 1) // BATCH + 1):
            user, history, wanted, other = (np.array(part) for part in sampler.next_batch())
            for_wanted, for_other = model(user, history, wanted, other)
            real = np.where(wanted != 0)
            optimizer.zero_grad()
            loss = judge(for_wanted[real], torch.ones_like(for_wanted[real]))
            loss = loss + judge(for_other[real], torch.zeros_like(for_other[real]))
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - began)
        print(f"pmixer: epoch {epoch + 1}: {seconds[-1]:.1f} s", file=sys.stderr)
    sampler.close()
    return seconds, _best_of_pmixer(model, had, users, items)


def _best_of_pmixer(model: object, had: dict, users: int, items: int) -> np.ndarray:
    import torch

    model.eval()  # type: ignore[attr-defined]
    best = np.full((users, BEST), -1)
    with torch.no_grad():
        for begin in range(0, users, 512):
            some = range(begin, min(begin + 512, users))
            history = np.zeros((len(some), LENGTH), dtype=np.int64)
            for row, user in enumerate(some):
                last = had[user + 1][-LENGTH:]
                history[row, LENGTH - len(last) :] = last
            states = model.log2feats(history)[:, -1]  # type: ignore[attr-defined]
            logits = states @ model.item_emb.weight[1:].T  # type: ignore[attr-defined]
            for row, user in enumerate(some):
                logits[row, np.array(had[user + 1]) - 1] = -np.inf
            best[begin : begin + len(some)] = logits.topk(BEST, dim=1).indices.cpu().numpy()
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=("rectools", "recbole", "pmixer"))
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--loss", choices=("sampled", "full", "pairs"), required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    rows = dict(np.load(asked.rows, allow_pickle=False))
    if asked.peer == "pmixer":
        seconds, best = pmixer(rows, folder=asked.folder, epochs=asked.epochs)
    else:
        train = {"rectools": rectools, "recbole": recbole}[asked.peer]
        seconds, best = train(rows, loss=asked.loss, epochs=asked.epochs)
    packages = [name for name in (asked.peer, "torch") if name != "pmixer"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    np.savez(asked.out, seconds=np.array(seconds), best=best, versions=np.array(versions))


if __name__ == "__main__":
    main()
