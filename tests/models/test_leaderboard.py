"""One protocol, rows that can be made again, and rows that cannot."""

import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.errors import BadInputError
from models import leaderboard
from models.leaderboard import Asked, Entry, NotReproducedError, add, check, entries, page, table


@pytest.fixture
def folder(tmp_path):
    """60 users who go round twelve items."""
    rows = [(user, at, (user + at) % 12) for user in range(60) for at in range(6)]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    made = tmp_path / "rounds"
    made.mkdir()
    names = ["user_id", "position", "item_id"]
    pq.write_table(pa.table(columns, names=names), made / "interactions.parquet")
    pq.write_table(pa.table({"item_id": list(range(12))}), made / "items.parquet")
    return made


def entry(**changes):
    figures = {
        name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in ("recall_at_10", "ndcg_at_10")
    }
    made = Entry("a", "ease", "debug", 7, "me", leaderboard.PROTOCOL, "hash", figures, 1.0)
    return replace(made, **changes)


@pytest.mark.slow
def test_an_entry_is_run_twice_from_a_clean_state_and_again_by_whoever_doubts(folder, tmp_path):
    board, cache = tmp_path / "board", tmp_path / "cache"
    asked = Asked("transitions", "debug", 7, {"distance": 2}, cache=cache, label="near")
    entered = add(board, folder, asked, author="me")
    assert entered.name == "rounds-transitions-near-7"
    assert entered.settings["distance"] == 2
    assert entries(board) == [entered]
    assert entered.figures["recall_at_10"]["mean"] > 0.9
    assert check(board, folder, entered.name, cache=cache).figures == entered.figures

    better = asdict(entered)
    better["figures"]["ndcg_at_10"]["mean"] = 0.5
    path = board / f"{entered.name}.json"
    path.write_text(json.dumps(better))
    with pytest.raises(NotReproducedError, match="ndcg_at_10 is said to be"):
        check(board, folder, entered.name, cache=cache)
    assert entries(board) == []
    assert path.with_suffix(".refused").exists()


def test_an_entry_that_does_not_come_out_the_same_twice_is_not_taken(monkeypatch, tmp_path):
    means = iter([0.5, 0.51])

    def run_clean(*_, **__):
        told = {"mean": next(means), "low": 0.4, "high": 0.6}
        return entry(figures={"recall_at_10": told, "ndcg_at_10": told})

    monkeypatch.setattr(leaderboard, "run_clean", run_clean)
    with pytest.raises(NotReproducedError, match=r"said to be 0\.5, a second run found 0\.51"):
        add(tmp_path, tmp_path, Asked("x", "debug", 1), author="me")
    assert entries(tmp_path) == []


def test_an_entry_is_run_again_with_the_settings_it_had(folder, tmp_path, monkeypatch):
    asked = Asked("ease", "debug", 7, {"regularization": 3.0}, label="gentle")
    made = replace(leaderboard.run(folder, asked), author="me")
    (tmp_path / f"{made.name}.json").write_text(json.dumps(asdict(made)))
    ran = []

    def run_clean(of, asked):
        ran.append(asked)
        return leaderboard.run(of, asked)

    monkeypatch.setattr(leaderboard, "run_clean", run_clean)
    again = check(tmp_path, folder, made.name, cache=tmp_path)
    assert "-ease-gentle-7" in made.name
    assert (again.name, again.author) == (made.name, "me")
    assert ran[0].settings["regularization"] == 3.0
    assert ran[0].settings == made.settings


@pytest.mark.parametrize("what", ["protocol", "data"])
def test_another_protocol_or_other_data_is_another_board(what):
    with pytest.raises(NotReproducedError, match=what):
        leaderboard.require_reproduced(entry(), entry(**{what: "other"}), tolerance=1.0)


def test_the_best_stands_first_with_its_interval_cost_and_author(tmp_path):
    worse = {name: {"mean": 0.1, "low": 0.05, "high": 0.2} for name in entry().figures}
    first, second = "rounds-ease-debug-7", "rounds-ease-debug-8"
    for one in (entry(name=first), entry(name=second, figures=worse, joules=12.4)):
        (tmp_path / f"{one.name}.json").write_text(json.dumps(asdict(one)))
    lines = table(entries(tmp_path))
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {first}", f"| {second}"]
    assert "0.1000 [0.0500, 0.2000] | 1.0 | 12 | me" in lines[3]
    assert "unknown" in lines[2]
    text = page(entries(tmp_path))
    assert text.count("<tr>") == 3
    assert "<svg" in text


def test_sets_stand_apart_however_good_their_models_are(tmp_path):
    for place, (of, ndcg) in enumerate([("easy", 0.3), ("hard", 0.1), ("easy", 0.2)]):
        told = {name: {"mean": ndcg, "low": ndcg, "high": ndcg} for name in entry().figures}
        one = entry(name=f"{of}-ease-debug-{place}", figures=told)
        (tmp_path / f"{one.name}.json").write_text(json.dumps(asdict(one)))
    found = entries(tmp_path)
    assert [one.name for one in found] == [
        "easy-ease-debug-0",
        "easy-ease-debug-2",
        "hard-ease-debug-1",
    ]
    text = page(found)
    assert text.count("<svg") == 2
    assert text.index("<h2>easy</h2>") < text.index("<h2>hard</h2>")


def test_an_unknown_entry_and_a_model_that_cannot_be_run_are_said(folder, tmp_path):
    with pytest.raises(BadInputError, match="no entry nothing"):
        check(tmp_path, folder, "nothing", cache=tmp_path)
    with pytest.raises(BadInputError, match="there is no model"):
        leaderboard.run(folder, Asked("bert", "debug", 1))
    with pytest.raises(BadInputError, match="there is no shrinking"):
        leaderboard.run(folder, Asked("ease", "debug", 1, {"shrinking": 1}))


def test_the_hash_is_of_who_took_what_in_which_order(folder):
    from models.sets import read_set

    first = leaderboard.data_hash(read_set(folder))
    interactions = pq.read_table(folder / "interactions.parquet")
    turned = interactions.take(pa.array(np.arange(len(interactions))[::-1]))
    pq.write_table(turned, folder / "interactions.parquet")
    assert leaderboard.data_hash(read_set(folder)) == first
    items = pa.array([(item + 1) % 12 for item in interactions.column("item_id").to_pylist()])
    other = interactions.set_column(2, "item_id", items)
    pq.write_table(other, folder / "interactions.parquet")
    assert leaderboard.data_hash(read_set(folder)) != first
