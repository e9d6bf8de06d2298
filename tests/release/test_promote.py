"""The way to a release; building and booting are shortened here, test_bundle has them."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from domain.errors import PromotionRefusedError, TamperedReleaseError
from domain.manifest import read_manifest
from domain.schemas import RECOMMENDATIONS
from domain.seal import require_sealed
from domain.settings import Settings
from models.artifacts import folder_hash
from models.runs import RunInfo, read_run
from release import folder as release_folder
from release import promote as promotion
from release.ledger import Action, history, live
from release.promote import Serving, promote

NOW = datetime(2026, 3, 8, tzinfo=UTC)
PERFECT = {f"u{at:02d}": f"i{(at + 1) % 12:02d}" for at in range(60)}
"""What each user of the miniature shop buys after the cutoff."""


def lists(user_ids: list[str], item_of: dict[str, str]) -> pa.Table:
    rows = [
        {"user_id": user, "item_id": item_of[user], "score": 1.0, "rank": 1} for user in user_ids
    ]
    return pa.Table.from_pylist(rows, schema=RECOMMENDATIONS)


def oracle(run: Path, user_ids: list[str], *, task: str, k: int, until: object) -> pa.Table:
    return lists(user_ids, PERFECT)


def fool(run: Path, user_ids: list[str], *, task: str, k: int, until: object) -> pa.Table:
    return lists(user_ids, dict.fromkeys(PERFECT, "i00"))


@pytest.fixture
def settings(judged_home, tmp_path) -> Settings:
    shutil.copytree(judged_home, tmp_path / "home", dirs_exist_ok=True)
    return Settings(home=tmp_path / "home")


@pytest.fixture
def run(settings) -> RunInfo:
    return read_run(settings.runs / "first")


@pytest.fixture
def second_run(settings) -> RunInfo:
    shutil.copytree(settings.runs / "first", settings.runs / "second")
    text = (settings.runs / "second" / "run.json").read_text()
    (settings.runs / "second" / "run.json").write_text(text.replace('"first"', '"second"'))
    return read_run(settings.runs / "second")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    def build(folder: Path, *, release_id: str, seal_hash: str, into: Path, scratch: Path) -> Path:
        path = into / f"{release_id}.bento"
        path.write_text(seal_hash)
        return path

    monkeypatch.setattr(promotion.bundle, "build", build)
    monkeypatch.setattr(promotion.second_check, "check", lambda *a, **k: len(a[1]))


def room(settings: Settings, recommend=oracle) -> Serving:
    return Serving(
        recommend=recommend,
        record=lambda folder: [{"path": "/status"}],
        registry=settings.feast / "registry.db",
        online_store=settings.online_address,
    )


def release(settings: Settings, run: RunInfo, recommend=oracle):
    return promote(settings, run, serving=room(settings, recommend), now=NOW)


def test_the_released_files_are_the_judged_files_to_the_byte(settings, run):
    judged = release_folder.judged_hash(run.folder)
    outcome = release(settings, run)
    kept = settings.releases / outcome.entry.release_id
    assert folder_hash(kept / "run") == judged
    assert require_sealed(kept) == outcome.entry.seal
    assert not (kept / "run" / "evaluation").exists()


def test_the_manifest_says_what_was_judged_and_what_it_beat(settings, run, second_run):
    first = release(settings, run).entry.release_id
    outcome = release(settings, second_run)
    manifest = read_manifest(settings.releases / outcome.entry.release_id)
    assert manifest.champion == first
    assert manifest.features == run.content["features"]
    assert manifest.metrics["judged"]["any"]["ndcg_at_10"]["mean"] == 1.0
    assert len(manifest.metrics["gate"]["comparisons"]) == 4
    assert all("passed" in reason for reason in manifest.verdict)


def test_a_model_that_does_not_beat_popularity_is_refused_and_the_refusal_is_kept(settings, run):
    with pytest.raises(PromotionRefusedError, match="must lie above 0: refused"):
        release(settings, run, fool)
    assert live(settings.releases) is None
    assert [entry.action for entry in history(settings.releases)] == [Action.REFUSED]
    assert list(settings.releases.glob("*.bento")) == []


def test_a_worse_challenger_is_refused_and_the_champion_stays_live(settings, run, second_run):
    champion = release(settings, run).entry

    def worse_second(folder: Path, users, **rest):
        return (fool if folder == second_run.folder else oracle)(folder, users, **rest)

    with pytest.raises(PromotionRefusedError, match=r"champion 1\.0000"):
        release(settings, second_run, worse_second)
    assert live(settings.releases) == champion


def test_the_champion_is_judged_from_its_released_files(settings, run, second_run):
    champion = release(settings, run).entry.release_id
    asked: list[Path] = []

    def watching(folder: Path, users, **rest):
        asked.append(folder)
        return oracle(folder, users, **rest)

    release(settings, second_run, watching)
    assert set(asked) == {second_run.folder, settings.releases / champion / "run"}


def test_a_refusal_repeated_is_one_entry(settings, run):
    for _ in range(2):
        with pytest.raises(PromotionRefusedError):
            release(settings, run, fool)
    assert len(history(settings.releases)) == 1


def test_a_second_release_of_a_run_does_nothing_even_after_a_newer_one(settings, run, second_run):
    first = release(settings, run)
    second = release(settings, second_run)
    again = release(settings, run)
    assert (again.is_new, again.entry) == (False, first.entry)
    assert live(settings.releases) == second.entry


def test_a_run_that_changes_while_it_is_judged_is_not_released(settings, run):
    def changing(folder: Path, users, **rest):
        (folder / "fusion.json").write_text("{}")
        return oracle(folder, users, **rest)

    with pytest.raises(TamperedReleaseError, match="changed while it was judged"):
        release(settings, run, changing)
    assert live(settings.releases) is None


def test_nothing_to_judge_on_is_a_refusal(settings, run):
    (settings.lake / "clock.json").unlink()
    with pytest.raises(PromotionRefusedError, match="no later day to judge it on"):
        release(settings, run)


STEPS = ("judge_all", "release_folder.make", "bundle.build", "second_check.check", "ledger.append")


class Killed(BaseException):
    """The process ends here, as far as the code can tell; test_bundle kills a real one."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_end_at_any_step_and_a_rerun_end_in_the_same_state(settings, run, step, moment):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        _die_at(patch, step, moment)
        release(settings, run)
    is_done = (step, moment) == ("ledger.append", "after")
    assert (live(settings.releases) is not None) == is_done
    outcome = release(settings, run)
    assert outcome.is_new != is_done
    assert [entry.action for entry in history(settings.releases)] == [Action.RELEASED]
    assert require_sealed(settings.releases / outcome.entry.release_id) == outcome.entry.seal
    assert {path.name for path in settings.releases.iterdir() if path.name[0] != "."} == {
        outcome.entry.release_id,
        f"{outcome.entry.release_id}.bento",
        f"{outcome.entry.release_id}.golden.json",
        "ledger.jsonl",
    }


def _die_at(patch: pytest.MonkeyPatch, step: str, moment: str) -> None:
    """End without a word when the step begins, or when it is done."""
    *path, name = step.split(".")
    owner = getattr(promotion, path[0]) if path else promotion
    real = getattr(owner, name)

    def dying(*args, **kwargs):
        if moment == "after":
            real(*args, **kwargs)
        raise Killed

    patch.setattr(owner, name, dying)
