"""The bundle on the real server: it needs nothing but itself, and starts only unchanged."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domain.clock import wall_now
from domain.errors import PromotionRefusedError
from domain.settings import Settings
from domain.stamp import read_stamp, write_stamp
from models.runs import read_run
from release import second_check
from release.bundle import BundleError, environment, import_bundle, requirements
from release.ledger import live
from release.promote import promote
from release.server import free_port, start

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(released_home) -> Path:
    return released_home


@pytest.fixture
def imported(outcome, tmp_path) -> tuple[str, Path]:
    """The bundle, imported into a BentoML home of the test's own: its tag and its folder."""
    tag = import_bundle(outcome.bundle, home=tmp_path / "bentoml")
    return tag, tmp_path / "bentoml" / "bentos" / tag.replace(":", "/")


def started(tag: str, tmp_path: Path, online_store: str) -> str:
    """Start the server with nothing but the store's address; its last words if it refuses."""
    server = start(
        tag,
        home=tmp_path / "bentoml",
        host="127.0.0.1",
        port=free_port(),
        log=tmp_path / "server.log",
        settings={"VITRINE_ONLINE_STORE": online_store},
    )
    try:
        server.wait_until_ready()
    except BundleError as error:
        return str(error)
    finally:
        server.stop()
    return "ready"


def test_the_second_check_passed_on_the_real_server_and_the_release_is_live(outcome, home):
    assert outcome.is_new
    assert live(home / "releases").release_id == outcome.entry.release_id
    assert not (home / "cache" / "second_check").exists()


def test_a_second_release_of_the_same_run_does_nothing(outcome, home, serving_room):
    settings = Settings(home=home)
    before = {path: path.stat().st_mtime_ns for path in settings.releases.rglob("*")}
    again = promote(
        settings,
        read_run(settings.runs / "first"),
        serving=serving_room(settings),
        now=wall_now(),
    )
    assert not again.is_new
    assert again.entry == outcome.entry
    assert {path: path.stat().st_mtime_ns for path in settings.releases.rglob("*")} == before


def test_the_bundle_runs_its_own_code_and_needs_no_tool_of_training(imported, tmp_path):
    _, folder = imported
    banned = ["implicit", "mlflow", "matplotlib", "duckdb", "airflow", "great_expectations", "dbt"]
    script = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {banned}:
            raise ImportError(name + " is no part of the serve group")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {str(folder / "src")!r})
import bentos.recommender.service, models.recommender, features.online, features.known_users
for module in (bentos, models, features):
    assert module.__file__.startswith({str(folder)!r}), module.__file__
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=tmp_path,
        env=environment(tmp_path / "bentoml"),
        check=True,
    )


def test_the_requirements_are_the_serve_group_pinned(imported):
    _, folder = imported
    written = (folder / "env" / "python" / "requirements.txt").read_text().split()
    assert set(written) == set(requirements())
    assert all("==" in line for line in written)
    names = {line.split("==")[0].split("[")[0] for line in written}
    assert {"bentoml", "torch", "feast"} <= names
    assert names.isdisjoint({"apache-airflow", "dbt-core", "pytest", "mlflow"})


def test_the_bundle_carries_the_rooms_and_the_release_and_nothing_else(imported, outcome, home):
    _, folder = imported
    assert {path.name for path in (folder / "src").iterdir()} == {
        "bentos", "models", "features", "domain", "released", "bentofile.yaml",
    }  # fmt: skip
    kept = home / "releases" / outcome.entry.release_id
    for path in kept.rglob("*"):
        if path.is_file():
            copy = folder / "src" / "released" / path.relative_to(kept)
            assert copy.read_bytes() == path.read_bytes()
    assert list(folder.rglob("__pycache__")) == []


@pytest.mark.parametrize(
    "name",
    [
        "src/released/run/retrieval/popularity/weights.safetensors",
        "src/released/manifest.json",
        "src/bentos/recommender/pipeline.py",
        "src/bentos/recommender/storefront/index.html",
        "bento.yaml",
        "seal.json",
    ],
)
def test_one_flipped_byte_and_the_bundle_refuses_to_start_and_names_the_file(
    imported, tmp_path, home, name
):
    tag, folder = imported
    content = bytearray((folder / name).read_bytes())
    content[_harmless_byte(content)] ^= 1
    (folder / name).write_bytes(content)
    words = started(tag, tmp_path, Settings(home=home).online_address)
    assert "vitrine refuses to start" in words
    assert name in words


def _harmless_byte(content: bytearray) -> int:
    """The digit nearest to the middle: flipped, it is another digit, and every format still parses.

    What does not parse any more is refused by its parser; what does must be refused by the seal.
    """
    middle = len(content) // 2
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit() and byte < 128]
    return min(digits, key=lambda at: abs(at - middle))


def test_one_flipped_byte_in_the_archive_is_refused_at_import_or_at_start(outcome, tmp_path, home):
    content = bytearray(outcome.bundle.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / outcome.bundle.name
    damaged.write_bytes(content)
    # BentoML reads the archive without its last checksum: some bytes only the seal notices.
    try:
        tag = import_bundle(damaged, home=tmp_path / "bentoml")
    except BundleError as error:
        assert "bentoml import failed" in str(error)
    else:
        assert "vitrine refuses to start" in started(
            tag, tmp_path, Settings(home=home).online_address
        )


def test_a_store_with_other_features_and_the_bundle_refuses_to_start_and_names_them(
    imported, tmp_path, home
):
    tag, _ = imported
    shutil.copytree(home / "feast", tmp_path / "feast")
    path = tmp_path / "feast" / "stamp.json"
    stamp = read_stamp(path)
    other = {**stamp.features, "user_features": {**stamp.features["user_features"]}}
    other["user_features"]["click_count_7d"] = "Float64"
    write_stamp(path, type(stamp)(other, stamp.event_date, stamp.version, stamp.clock))
    words = started(tag, tmp_path, str(tmp_path / "feast" / "online.db"))
    assert "vitrine refuses to start" in words
    assert "user_features.click_count_7d: expected Int64, got Float64" in words


def test_an_answer_other_than_the_recorded_one_fails_the_second_check(outcome, home, tmp_path):
    recorded = {"path": "/suggest", "body": {"prefix": "red", "k": 5}, "answer": {"other": 1}}
    with pytest.raises(PromotionRefusedError, match=r"/suggest .* answered otherwise"):
        second_check.check(
            outcome.bundle,
            [recorded],
            online_store=Settings(home=home).online_address,
            scratch=tmp_path / "check",
        )
