"""``vitrine tune`` on a small shop: what it writes, and that killing it does not show."""

import importlib.util
import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import main, vitrine
from domain.clock import write_last_date
from tests.killing import IS_SUPPORTED, killer

TESTS = Path(__file__).parents[1]
EASE = ("tune", "ease", "--trials", "6")


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TESTS / "models" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A home whose shop has been built: 80 users, 40 items, 60 days."""
    home, planted = tmp_path_factory.mktemp("shop"), loaded("conftest").make_planted()
    # The last week is what vitrine train judges on; two weeks before it, settings are judged.
    first_seen_items = planted.until - timedelta(days=21)
    loaded("hand_join").write_marts(
        home / "marts", planted.examples, planted.items, until=first_seen_items
    )
    write_last_date(home / "lake", planted.until - timedelta(days=1))
    return home


@pytest.fixture
def built(shop, home):
    return shutil.copytree(shop, home)


def run(*words):
    """The command's receipt."""
    done = CliRunner().invoke(vitrine, words)
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout.splitlines()[-1])


def refusal(monkeypatch, capsys, *words):
    """Run ``vitrine``; its exit code and what it says on standard error."""
    monkeypatch.setattr("sys.argv", ["vitrine", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("tune", "gru4rec", "--trials", "3"),
            "there is no model 'gru4rec'; there are popularity,",
        ),
        (("tune", "ease"), "a search needs a budget: --trials N, --budget-s SECONDS or both"),
        (("tune", "ease", "--trials", "0"), "--trials: expected at least 1, got 0"),
        (("tune", "ease", "--budget-s", "-3"), "--budget-s: expected seconds above 0, got -3.0"),
        (("tune", "ease", "--trials", "3"), "run vitrine ingest first"),
        (("tune", "ease", "--trials", "3", "--until", "2026-03-01"), "run vitrine build first"),
        (("tune", "ease", "--trials", "3", "--until", "soon"), "'soon' is not a day"),
        (("tune", "ease", "--trials", "3", "--preset", "huge"), "no preset 'huge'"),
        (("train", "--settings", "f.json"), "--settings are those of one model"),
        (("train", "ease", "--settings", "f.json", "--until", "2026-03-01"), "no file of settings"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_2(monkeypatch, capsys, words, said):
    code, error = refusal(monkeypatch, capsys, *words)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_help_says_what_it_writes_and_what_goes_on():
    said = CliRunner().invoke(vitrine, ["tune", "--help"]).output
    assert "tuning/<search>/settings.json" in said
    for option in ("--trials", "--budget-s", "--until", "--preset", "--seed"):
        assert option in said


def runs(home):
    """Of MLflow's file: run name → (state, id of the run above or None, parameters, metrics)."""
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as file:
        file.row_factory = sqlite3.Row

        def pairs(table, run):
            rows = file.execute(f"select key, value from {table} where run_uuid = ?", [run])
            return {row["key"]: row["value"] for row in rows}

        found = {
            row["name"]: {
                "id": row["run_uuid"],
                "status": row["status"],
                "parent": pairs("tags", row["run_uuid"]).get("mlflow.parentRunId"),
                "params": pairs("params", row["run_uuid"]),
                "metrics": pairs("metrics", row["run_uuid"]),
            }
            for row in file.execute("select name, run_uuid, status from runs")
        }
    file.close()
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_is_found_is_kept_tracked_and_trained_with(built):
    told = run(*EASE)
    details = told["details"]
    assert (details["finished"], details["failed"], details["stopped"]) == (6, 0, "trials")
    assert details["best_score"] >= details["preset_score"] > 0.0
    assert (details["validated_since"], details["until"]) == ("2026-02-09", "2026-02-23")

    tracked = runs(built)
    search = tracked.pop(told["key"])
    assert search["parent"] is None
    assert search["params"]["model"] == "ease"
    assert len(tracked) == 6
    for name, trial in tracked.items():
        assert name.startswith(f"{told['key']}/")
        assert (trial["status"], trial["parent"]) == ("FINISHED", search["id"])
        assert set(trial["params"]) == {"power", "regularization", "seen_weight"}
        assert set(trial["metrics"]) == {"seconds", "validation_ndcg_at_10"}
    best = tracked[f"{told['key']}/{details['best_trial']}"]
    assert best["metrics"]["validation_ndcg_at_10"] == pytest.approx(
        details["best_score"], abs=1e-6
    )

    (file,) = told["artifacts"]
    settings = json.loads(Path(file).read_text())["settings"]
    trained = run("train", "ease", "--settings", file)["details"]
    assert trained["settings"] == settings
    assert {name: settings[name] for name in details["best_settings"]} == details["best_settings"]
    progress = (built / "logs" / "progress.jsonl").read_text().splitlines()
    assert any("trial 5 finished" in json.loads(line)["message"] for line in progress)

    assert run(*EASE)["details"] == details
    assert len(runs(built)) == 7


@pytest.mark.slow
@pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux on x86_64")
def test_a_search_killed_anywhere_ends_as_if_it_never_was(shop, tmp_path):
    """SIGKILL before some commit of each of its files, again and again in one search."""
    with killer(
        "models.tune", "models.text", "mlflow", "mlflow.store.tracking.sqlalchemy_store"
    ) as kill:
        whole, killed = (
            Path(shutil.copytree(shop, tmp_path / name)) for name in ("whole", "killed")
        )
        undisturbed = kill.run(*EASE, home=whole)
        assert undisturbed.code == 0, undisturbed.stderr
        # While MLflow makes its tables; in the first trials; then each time a little further.
        begins = next(at for at, what in enumerate(undisturbed.commits) if "/tuning" in what)
        kills = (begins // 3, begins + 100, 60, 75, 90)
        codes = [kill.run(*EASE, home=killed, kill_at=at).code for at in kills]
        ended = kill.run(*EASE, home=killed)
        assert ended.code == 0, ended.stderr
    assert codes == [-9] * len(kills)
    first, last = receipt(whole), receipt(killed)
    assert last["key"] == first["key"]
    same = ("finished", "best_score", "best_settings", "preset_score", "stopped")
    assert {name: last["details"][name] for name in same} == {
        name: first["details"][name] for name in same
    }
    assert settings_tried(killed, "FINISHED") == settings_tried(whole, "FINISHED")
    assert len(set(settings_tried(whole, "FINISHED"))) == 6
    failed = settings_tried(killed, "FAILED")
    assert len(failed) == last["details"]["failed"] > 0


def receipt(home):
    (file,) = (home / "receipts" / "tune").iterdir()
    return json.loads(file.read_text())


def settings_tried(home, status):
    trials = [run for run in runs(home).values() if run["parent"] and run["status"] == status]
    return sorted(tuple(sorted(trial["params"].items())) for trial in trials)
