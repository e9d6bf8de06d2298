"""``vitrine serve``, ``rollback`` and ``release`` as a person runs them, in real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from domain.clock import wall_now
from domain.settings import Settings
from models.runs import read_run
from release.gate import Verdict
from release.judge import Judged
from release.ledger import Action, history, live
from release.promote import promote
from release.server import free_port

pytestmark = pytest.mark.slow
PATIENCE_S = 180.0


@pytest.fixture(scope="module")
def home(outcome, released_home, serving_room, tmp_path_factory) -> Path:
    """Two releases, the second one live and not checked twice: test_bundle checks the first."""
    copied = tmp_path_factory.mktemp("followed") / "home"
    shutil.copytree(released_home, copied)
    settings = Settings(home=copied)
    shutil.copytree(settings.runs / "first", settings.runs / "second")
    path = settings.runs / "second" / "run.json"
    path.write_text(path.read_text().replace('"first"', '"second"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("release.promote.judge_all", lambda *a, **k: Judged(None, None, None, {}))
        patch.setattr("release.promote.decide", lambda *a, **k: Verdict(True, ("for a test",)))
        patch.setattr("release.promote.second_check.check", lambda *a, **k: 1)
        run = read_run(settings.runs / "second")
        promote(settings, run, serving=serving_room(settings), now=wall_now())
    return copied


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from cli.main import main; main()", *arguments]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "VITRINE_HOME": str(home), "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def serving(home) -> Iterator[tuple[subprocess.Popen, str]]:
    port = free_port()
    process = subprocess.Popen(command("serve", "--port", str(port)), env=environment(home))
    yield process, f"http://127.0.0.1:{port}"
    if process.poll() is None:
        process.terminate()
        process.wait(60)


def wait_for(seen: Callable[[], bool], process: subprocess.Popen) -> None:
    until = time.monotonic() + PATIENCE_S
    while not seen():
        assert process.poll() is None, "the command ended"
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.2)


def release_at(url: str) -> str:
    try:
        with urlopen(f"{url}/status", timeout=5) as response:
            return json.load(response)["release_id"]
    except (URLError, OSError):
        return ""


def test_serve_follows_a_rollback_and_leaves_no_process_behind(home, serving):
    process, url = serving
    present = live(home / "releases").release_id
    wait_for(lambda: release_at(url) == present, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3  # the supervisor and two workers
    done = subprocess.run(
        command("rollback", "--why", "the second one shows socks"),
        env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    before = json.loads(done.stdout)["details"]["release_id"]
    assert before != present
    wait_for(lambda: release_at(url) == before, process)
    children += psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert [child for child in children if child.is_running()] == []
    assert [entry.action for entry in history(home / "releases")][-1] == Action.ROLLED_BACK


def test_a_port_that_is_taken_is_one_clear_sentence(home):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            command("serve", "--port", str(taken.getsockname()[1])),
            env=environment(home), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_release_killed_for_real_is_finished_by_an_ordinary_rerun(
    released_home, outcome, tmp_path
):
    home = tmp_path / "home"
    shutil.copytree(released_home, home)
    shutil.rmtree(home / "releases")
    (tmp_path / "forced.py").write_text(FORCED)
    forced = [sys.executable, str(tmp_path / "forced.py")]
    process = subprocess.Popen(forced, env=environment(home))
    server = home / "cache" / "second_check" / "server.log"
    wait_for(lambda: server.exists() and server.stat().st_size > 0, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()
    assert live(home / "releases") is None
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []
    subprocess.run(forced, env=environment(home), check=True)
    assert live(home / "releases").release_id == outcome.entry.release_id
    assert [entry.action for entry in history(home / "releases")] == [Action.RELEASED]
    names = {path.name for path in (home / "releases").iterdir() if path.name[0] != "."}
    release_id = outcome.entry.release_id
    assert names == {
        release_id, f"{release_id}.bento", f"{release_id}.golden.json", "ledger.jsonl",
    }  # fmt: skip


# The real command but for the gate, which sixty invented users would not pass.
FORCED = """
import release.promote as promotion
from release.gate import Verdict
from release.judge import Judged
promotion.judge_all = lambda *a, **k: Judged(None, None, None, {})
promotion.decide = lambda *a, **k: Verdict(True, ("for a test",))
from cli.release import release
release(run="first")
"""
