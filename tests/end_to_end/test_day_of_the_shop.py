"""A whole day of the shop through the real commands, and what a stranger would check afterwards."""

import json
import math
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_receipt_accounts_for_every_row(shop, receipts):
    for name, receipt in receipts.items():
        accounted = receipt["rows_out"] + receipt["rows_duplicate"] + receipt["rows_quarantined"]
        assert receipt["rows_in"] == accounted, name
    assert receipts["ingest_history"]["rows_in"] > 1_000
    assert receipts["ingest_history"]["rows_duplicate"] > 0
    assert receipts["ingest_history"]["rows_quarantined"] > 0


def test_verify_finds_nothing_lost(shop):
    report = json.loads(shop.run("verify", "--json").stdout)
    assert report["ok"], report
    assert {hop["name"]: hop["state"] for hop in report["hops"]} == {
        "lake": "ok",
        "marts": "ok",
        "online store": "ok",
        "contents": "ok",
        "leftovers": "ok",
    }


def test_a_lost_row_is_found(shop, days, tmp_path):
    part = next((shop.home / "marts" / "events" / f"event_date={days[3]}").glob("*.parquet"))
    kept = tmp_path / "part.parquet"
    kept.write_bytes(part.read_bytes())
    table = pq.read_table(part, partitioning=None)
    try:
        pq.write_table(table.slice(1), part)
        refused = shop.run("verify", expect=1)
        assert days[3] in refused.stdout + refused.stderr
    finally:
        part.write_bytes(kept.read_bytes())


def test_status_names_what_is_live(shop, days):
    status = json.loads(shop.run("status", "--json").stdout)
    text = json.dumps(status)
    assert days[-1] in text
    live = json.loads((shop.home / "releases" / "ledger.jsonl").read_text().splitlines()[-1])
    assert live["release_id"] in text


def _hand_scored(recommended: Path, shop_home: Path, *, task: str, until: str) -> tuple:
    """Users, recall@10 and NDCG@10 from the Parquet files alone, without the project's code."""
    marts = shop_home / "marts"
    column = ds.dataset(marts / "retrieval_examples", format="parquet").to_table()
    rows = [
        (row["user_id"], row["item_id"], row["event_date"].isoformat())
        for row in column.filter(pc.field("is_purchase")).to_pylist()
    ]
    before: dict[str, set[str]] = {}
    within: dict[str, set[str]] = {}
    for user, item, day in rows:
        (before if day < until else within).setdefault(user, set()).add(item)
    sold = set().union(*before.values())
    answered: dict[str, list[str]] = {}
    for row in sorted(pq.read_table(recommended).to_pylist(), key=lambda row: row["rank"]):
        answered.setdefault(row["user_id"], []).append(row["item_id"])
    recalls, gains = [], []
    for user in set(before) & set(within):
        relevant = within[user] & sold
        if task == "new":
            relevant -= before.get(user, set())
        if not relevant:
            continue
        hits = [item in relevant for item in answered.get(user, [])[:10]]
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
        recalls.append(sum(hits) / min(10, len(relevant)))
        gains.append(sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits)) / ideal)
    return len(recalls), sum(recalls) / len(recalls), sum(gains) / len(gains)


@pytest.mark.parametrize("task", ["any", "new"])
def test_recommendations_scored_by_hand_equal_the_report(shop, receipts, tmp_path, task):
    run = receipts["train"]["key"]
    until = receipts["train"]["details"]["until"]
    out = tmp_path / f"{task}.parquet"
    shop.run(
        *("recommend", "--run", run, "--users", "all", "--task", task),
        *("--until", until, "--k", "10", "--out", str(out)),
    )
    metrics = json.loads((shop.home / "runs" / run / "evaluation" / "metrics.json").read_text())
    assert metrics["facts"]["label"] == "purchase"
    row = metrics["tasks"][task]["release"]
    users, recall, ndcg = _hand_scored(out, shop.home, task=task, until=until)
    assert users == row["user_count"]
    assert recall == pytest.approx(row["metrics"]["recall_at_10"]["mean"], abs=1e-6)
    assert ndcg == pytest.approx(row["metrics"]["ndcg_at_10"]["mean"], abs=1e-6)


def test_running_the_day_again_changes_no_byte(shop, days):
    marts = shop.home / "marts"
    before = {path: path.read_bytes() for path in sorted(marts.rglob("*.parquet"))}
    for command in (("ingest", "--day", days[-1]), ("build", "--day", days[-1])):
        shop.run(*command)
    after = {path: path.read_bytes() for path in sorted(marts.rglob("*.parquet"))}
    assert after == before


def test_a_bad_day_stops_before_the_feature_store(shop, days):
    """The last day arrives with a tenth of its rows: refused, and the store keeps its day."""
    stamp = (shop.home / "feast" / "stamp.json").read_bytes()
    part = shop.home / "lake" / "simulated" / "events" / f"event_date={days[-1]}" / "part.parquet"
    good = part.read_bytes()
    try:
        table = pq.read_table(part, partitioning=None)
        pq.write_table(table.slice(0, len(table) // 10), part)
        refused = shop.run("check", "landed", "--day", days[-1], expect=1)
        assert "PartialFeedError" in refused.stderr
        assert "simulated.events" in refused.stderr
    finally:
        part.write_bytes(good)
    assert (shop.home / "feast" / "stamp.json").read_bytes() == stamp


def test_nothing_but_state_lies_in_the_home(shop):
    leftovers = [
        str(path.relative_to(shop.home))
        for path in shop.home.rglob("*")
        if path.name.endswith((".tmp", ".old"))
    ]
    assert leftovers == []
