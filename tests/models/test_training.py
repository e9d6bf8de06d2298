import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from domain.clock import midnight
from domain.files import leftovers
from models.artifacts import file_hashes, load_model
from models.batch import UserBatch
from models.judging import _join_at, judge_run
from models.loop import LoopConfig
from models.presets import PRESETS
from models.ranking.config import SmallerConfig
from models.ranking.items import ItemMatrix
from models.recommender import Recommender
from models.report import ReportInput, write_report
from models.runs import read_run
from models.text import Encoder
from models.tracking import track, tracking_uri

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
HELPER = Path(__file__).with_name("hand_join.py")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def hand():
    spec = importlib.util.spec_from_file_location("hand_join", HELPER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def marts(planted, hand, tmp_path_factory):
    folder = tmp_path_factory.mktemp("marts")
    hand.write_marts(folder, planted.examples, planted.items, until=planted.cutoff)
    return folder


@pytest.fixture(scope="session")
def trained(planted, hand, marts, tmp_path_factory):
    """A whole run of the debug preset, and everything its progress said."""
    told = []
    run = hand.train_marts(
        marts,
        tmp_path_factory.mktemp("runs") / "whole",
        until=planted.cutoff,
        progress=lambda stage, message, **_: told.append(f"{stage}: {message}"),
    )
    return run, told


@pytest.fixture
def join(planted, hand):
    return hand.HandJoin(planted.examples)


TIMED = {"run.json", "curves.json", "retrieval/sequence/config.json"}
"""The files that tell of seconds."""


def learned(folder):
    """What was learned, by file."""
    return {name: digest for name, digest in file_hashes(folder).items() if name not in TIMED}


def test_a_run_holds_what_the_contract_says(trained):
    run, _ = trained
    names = set(file_hashes(run.folder))
    models = ["ranking/dnn", "ranking/transformer"]
    models += [f"retrieval/{name}" for name in ("popularity", "personal", "als", "sequence")]
    expected = {
        f"{model}/{file}" for model in models for file in ("config.json", "weights.safetensors")
    }
    expected |= {"run.json", "catalog.parquet", "text.safetensors", "fusion.json", "curves.json"}
    assert names == expected


def test_run_json_says_where_it_comes_from(trained, planted):
    run, _ = trained
    content = json.loads((run.folder / "run.json").read_text())
    assert content["until"] == planted.cutoff.isoformat()
    assert content["git_commit"] == "0" * 40
    assert content["rows"]["interactions"] == len(planted.before(planted.cutoff))
    assert content["config"]["windows"] == {"days": 3, "train_count": 1}
    assert content["device_reason"]
    assert set(content["seconds"]) >= {"catalog", "features", "lists", "dnn", "fusion"}
    assert len(content["data_hash"]) == len(content["feature_schema_hash"]) == 64


def test_progress_tells_every_stage(trained):
    _, told = trained
    for stage in ("catalog", "early_retrieval", "transformer", "retrieval_sequence"):
        assert any(line.startswith(f"train: {stage} done") for line in told)
    assert any(line.startswith("dnn: epoch") for line in told)


def test_a_finished_run_is_not_trained_twice(trained, planted, hand, marts):
    run, _ = trained
    before = file_hashes(run.folder)
    told = []
    hand.train_marts(
        marts, run.folder, until=planted.cutoff, progress=lambda *a, **k: told.append(a)
    )
    assert told == []
    assert file_hashes(run.folder) == before


@pytest.mark.parametrize(
    "death",
    [
        ("train", "features begins"),
        ("train", "lists done"),
        ("dnn", "epoch 2/"),
        ("transformer", "epoch 1/"),
        ("train", "retrieval_sequence begins"),
    ],
    ids="-".join,
)
def test_a_killed_run_goes_on_to_the_same_weights(trained, planted, marts, tmp_path, death):
    run, _ = trained
    folder = tmp_path / "killed"
    command = [sys.executable, str(HELPER), str(marts), str(folder), planted.cutoff.isoformat()]
    start = partial(subprocess.Popen, cwd=REPOSITORY, env=_environment(tmp_path))
    assert start([*command, *death]).wait() == -signal.SIGKILL
    assert not (folder / "run.json").exists()
    # Two at once: one goes on, the other waits and finds it finished.
    assert [process.wait() for process in [start(command), start(command)]] == [0, 0]
    assert learned(folder) == learned(run.folder)
    assert leftovers(folder) == []


def _environment(tmp_path):
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "VITRINE_HOME": str(tmp_path / "home")}


@pytest.fixture(scope="session")
def smaller(planted, hand, marts, tmp_path_factory):
    """A whole run of the debug preset with a ranker made smaller, and what its progress said."""
    loop = LoopConfig(epochs=4, learning_rate=3e-3, warmup_steps=5)
    config = SmallerConfig(width=8, pruned_share=0.5, loop=loop, mending=replace(loop, epochs=1))
    told = []
    run = hand.train_marts(
        marts,
        tmp_path_factory.mktemp("runs") / "smaller",
        until=planted.cutoff,
        progress=lambda stage, message, **_: told.append(f"{stage}: {message}"),
        preset=replace(PRESETS["debug"], smaller=config),
    )
    return run, told


def test_a_run_with_a_smaller_ranker_holds_the_same_files(smaller, trained):
    run, told = smaller
    assert file_hashes(run.folder).keys() == file_hashes(trained[0].folder).keys()
    assert any(line.startswith("train: smaller done") for line in told)
    content = json.loads((run.folder / "run.json").read_text())
    assert content["config"]["smaller"]["width"] == 8
    notes = json.loads((run.folder / "curves.json").read_text())
    assert len(notes["smaller"]["mended"]["train_loss"]) == 1


def test_the_smaller_ranker_is_the_one_that_is_released(smaller, trained):
    small, whole = (run.folder / "ranking" / "transformer" for run, _ in (smaller, trained))
    tensors = load_model(small, model="ranking_transformer").tensors
    assert tensors["ids.weight.int8"].dtype == np.int8
    # 40 items, half of them pruned, and the unknown one.
    assert tensors["ids.weight.int8"].shape == (21, 8)
    sizes = [(folder / "weights.safetensors").stat().st_size for folder in (small, whole)]
    assert sizes[0] < sizes[1] / 2
    assert Recommender.load(smaller[0].folder).transformer.config.width == 8


def test_a_run_with_a_smaller_ranker_is_judged_as_any_other(smaller, judged, planted, join):
    run, _ = smaller
    ours = judge_run(
        Recommender.load(run.folder),
        planted.examples,
        since=planted.cutoff,
        until=planted.until,
        join=join,
    )
    for task in ("any", "new"):
        found = ndcg(ours, task)
        assert found["fusion"] > found["popularity"] + 0.05, found
        # What is not the transformer's is what it was without it.
        assert found["dnn"] == ndcg(judged, task)["dnn"]


def test_an_encoder_of_ones_own_comes_along(planted, hand, marts, tmp_path):
    chosen = Encoder(_tiny_encoder(tmp_path / "encoder"))
    (chosen.folder / "pytorch_model.bin").write_bytes(b"pickled by somebody")
    run = hand.train_marts(
        marts,
        tmp_path / "run",
        until=planted.cutoff,
        progress=lambda *a, **k: None,
        encoder=chosen,
    )
    wanted = chosen.encode(["red lantern"])
    (chosen.folder / "model.safetensors").unlink()
    assert not list(run.folder.rglob("*.bin"))
    model = Recommender.load(run.folder)
    assert model.text_VE.shape[1] == wanted.shape[1] == 32
    np.testing.assert_array_equal(model.encoder.encode(["red lantern"]), wanted)


def _tiny_encoder(folder):
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(Encoder().folder, local_files_only=True)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_a_run_loaded_twice_ranks_alike(trained, planted, join):
    run, _ = trained
    model = Recommender.load(run.folder)
    batch, items = _world(model, planted, join)
    ranked = list(model.rank_users(batch, items, task="any", day=planted.cutoff))
    again = list(
        Recommender.load(run.folder).rank_users(batch, items, task="any", day=planted.cutoff)
    )
    for (_, one), (_, other) in zip(ranked, again, strict=True):
        np.testing.assert_array_equal(one.scores_BC, other.scores_BC)


def _world(model, planted, join):
    ids = sorted(set(planted.examples.column("user_id").to_pylist()))
    users = _join_at(join, "user_id", ids, planted.cutoff)
    items = _join_at(join, "item_id", model.catalog.item_ids[2:].tolist(), planted.cutoff)
    moment = midnight(planted.cutoff)
    return (
        UserBatch.from_table(users, model.catalog, now=moment),
        ItemMatrix.from_table(items, model.catalog, moment),
    )


@pytest.fixture(scope="session")
def judged(trained, planted, hand):
    run, _ = trained
    return judge_run(
        Recommender.load(run.folder),
        planted.examples,
        since=planted.cutoff,
        until=planted.until,
        join=hand.HandJoin(planted.examples),
    )


def ndcg(judged, task):
    return {
        each.model: float(np.mean(each.per_user.column("ndcg_at_10").to_numpy()))
        for each in judged.judgements
        if each.task == task
    }


def test_every_model_is_judged_on_the_same_users(judged):
    assert judged.label == "purchase"
    for task in ("any", "new"):
        rows = [each for each in judged.judgements if each.task == task]
        assert [each.model for each in rows] == [
            "popularity", "personal", "als", "sequence", "dnn", "transformer", "fusion",
        ]  # fmt: skip
        assert len({tuple(each.per_user.column("user_id").to_pylist()) for each in rows}) == 1


def test_the_fusion_knows_planted_tastes_better_than_popularity(judged):
    for task in ("any", "new"):
        found = ndcg(judged, task)
        assert found["fusion"] > found["popularity"] + 0.05, found


def test_a_shop_where_few_buy_is_judged_on_interactions(trained, planted, join):
    run, _ = trained
    late = [day >= planted.cutoff for day in planted.examples.column("event_date").to_pylist()]
    at = planted.examples.schema.get_field_index("is_purchase")
    clicks = planted.examples.set_column(
        at, planted.examples.schema.field(at), [[not is_late for is_late in late]]
    )
    judged = judge_run(
        Recommender.load(run.folder), clicks, since=planted.cutoff, until=planted.until, join=join
    )
    assert judged.label == "interaction"


def test_judging_is_tracked_once_a_run(trained, judged, tmp_path):
    from mlflow import MlflowClient

    run = read_run(trained[0].folder)
    content = ReportInput(title=run.name, facts={}, judgements=judged.judgements)
    write_report(tmp_path / "evaluation", content)
    report = tmp_path / "evaluation" / "report.html"
    numbers = {"any/fusion/ndcg_at_10": 0.5}
    first = track(run, store=tmp_path / "mlflow", metrics=numbers, artifacts=[report])
    assert track(run, store=tmp_path / "mlflow", metrics=numbers, artifacts=[report]) == first
    kept = MlflowClient(tracking_uri=tracking_uri(tmp_path / "mlflow")).get_run(first)
    assert kept.data.metrics["any/fusion/ndcg_at_10"] == 0.5
    assert kept.data.params["dnn.batch_lists"] == "8"
    assert "dnn/train_loss" in kept.data.metrics
    assert (tmp_path / "mlflow" / "artifacts" / first / "artifacts" / "report.html").exists()
