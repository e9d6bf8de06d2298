import json
import re
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.evaluate import TASKS, judge, make_task
from models.histories import user_batch_at
from models.report import ReportInput, write_report
from models.splits import split_by_time

CURVES = {
    "dnn": {"train_loss": [0.5, 0.4], "validation": [0.1, 0.2]},
    "retrieval_sequence": {"train_loss": [7.0, 6.5], "validation": []},
    "fusion": {"alpha": 0.35, "alphas": [0.0, 0.5, 1.0], "validation_ndcg": [0.1, 0.3, 0.2]},
    "catalog": {"items": 40},
}


@pytest.fixture(scope="module")
def content(planted):
    split = split_by_time(planted.examples, cutoff=planted.cutoff, until=planted.until)
    generator = np.random.default_rng(0)
    judgements = []
    for name in TASKS:
        task = make_task(name, split, planted.catalog)
        users = user_batch_at(
            split.train, planted.catalog, until=planted.cutoff, user_ids=list(task.user_ids)
        )
        noise = generator.normal(size=42).astype(np.float32)
        judgements += [
            judge(
                lambda part, n=noise: np.tile(n, (len(part), 1)), users, task, model="popularity"
            ),
            judge(lambda part, n=noise: part.bought_BV.toarray() + n, users, task, model="fusion"),
        ]
    facts = {"cutoff": planted.cutoff, "note": "<script>alert(1)</script>"}
    return ReportInput("run-1", facts, judgements, CURVES)


@pytest.fixture(scope="module")
def page(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, content)
    return folder


def test_the_three_files_are_written_and_agree(page, content):
    numbers = json.loads((page / "metrics.json").read_text())
    table = pq.read_table(page / "per_user.parquet")
    assert len(table) == sum(len(judgement.per_user) for judgement in content.judgements)
    for judgement in content.judgements:
        said = numbers["tasks"][judgement.task][judgement.model]["metrics"]["ndcg_at_10"]["mean"]
        assert said == pytest.approx(judgement.per_user["ndcg_at_10"].to_numpy().mean(), abs=1e-6)
        assert f"{said:.3f}" in (page / "report.html").read_text()


def test_every_model_is_compared_with_the_baseline_user_by_user(page):
    models = json.loads((page / "metrics.json").read_text())["tasks"]["any"]
    assert models["popularity"]["against"]["difference"] == {}
    difference = models["fusion"]["against"]["difference"]["ndcg_at_10"]
    means = [models[name]["metrics"]["ndcg_at_10"]["mean"] for name in ("fusion", "popularity")]
    assert difference["mean"] == pytest.approx(means[0] - means[1], abs=1e-5)


def test_the_page_stands_alone_and_trusts_no_text(page):
    html = (page / "report.html").read_text()
    assert not re.search(r"(src|href)=.(https?:)?//", html)
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_plots_on_one_page_never_share_an_id(page):
    html = (page / "report.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(re.findall("<svg", html)) == 5
    assert len(ids) == len(set(ids))
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        tree = ElementTree.fromstring(svg)
        own = {node.get("id") for node in tree.iter()}
        used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
        assert {a or b for a, b in used} <= own


def test_the_same_numbers_give_the_same_page(page, content, tmp_path):
    write_report(tmp_path, content)
    assert (tmp_path / "report.html").read_bytes() == (page / "report.html").read_bytes()
