"""What dies comes back; what we started ends with us, whoever its parent has become."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from domain.errors import VitrineError
from stack.supervisor import Service, Supervisor
from stack.waiting import wait_until

# A service that starts a task in a session of its own, as Airflow's bash operator does.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(
        environment=dict(os.environ), logs=tmp_path / "logs", record=tmp_path / "up.json"
    )
    made.open()
    yield made
    made.close()


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _read_pid(path: Path) -> int:
    assert wait_until(lambda: path.exists() and path.read_text() != "", timeout_s=20)
    return int(path.read_text())


def test_a_killed_service_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    supervisor.start(Service("sleeper", _python("-c", code)))
    first = _read_pid(pid_file)

    os.kill(first, signal.SIGKILL)

    assert wait_until(lambda: pid_file.read_text() not in {"", str(first)}, timeout_s=30)
    assert supervisor.restarts == 1
    supervisor.require_running()


def test_a_service_steps_back_as_it_was_asked_to(supervisor: Supervisor, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    ours = psutil.Process().nice()

    supervisor.start(Service("sleeper", _python("-c", code), niceness=3))

    assert psutil.Process(_read_pid(pid_file)).nice() == min(ours + 3, 19)


def test_what_a_dead_service_left_in_its_session_ends_before_it_starts_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    in_session = FAMILY.replace("start_new_session=True", "start_new_session=False")
    supervisor.start(Service("family", _python("-c", in_session, str(tmp_path / "pid"))))
    worker = psutil.Process(_read_pid(tmp_path / "pid"))
    supervisor.family.sample()

    worker.parent().kill()

    assert wait_until(lambda: supervisor.restarts == 1, timeout_s=30)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_service_that_never_stays_up_is_given_up_with_its_last_words(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.supervisor.MOST_RESTARTS", 2)
    supervisor.start(Service("broken", _python("-c", "raise SystemExit('no such table')")))

    assert wait_until(lambda: bool(supervisor.given_up), timeout_s=30)
    with pytest.raises(VitrineError, match=r"broken does not stay up(.|\n)*no such table"):
        supervisor.require_running()


def test_closing_ends_also_what_left_for_a_session_of_its_own(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Service("family", _python("-c", FAMILY, str(tmp_path / "pid"))))
    grandchild = psutil.Process(_read_pid(tmp_path / "pid"))
    supervisor.family.sample()

    supervisor.close()

    assert not grandchild.is_running()
    assert not (tmp_path / "up.json").exists()
    assert psutil.Process().children() == []


def test_an_orphan_is_ended_although_its_parent_has_died(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Service("family", _python("-c", FAMILY, str(tmp_path / "pid"))))
    grandchild = psutil.Process(_read_pid(tmp_path / "pid"))
    supervisor.family.sample()
    grandchild.parent().kill()

    supervisor.close()

    assert not grandchild.is_running()


def test_what_a_killed_run_left_behind_is_ended_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from stack.supervisor import Service, Supervisor\n"
        "home = Path(sys.argv[1])\n"
        "s = Supervisor(environment=dict(os.environ), logs=home, record=home / 'up.json')\n"
        "s.open()\n"
        "s.start(Service('family', (sys.executable, '-c', sys.argv[2], str(home / 'pid'))))\n"
        "time.sleep(600)\n"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.Popen(_python("-c", code, str(tmp_path), FAMILY), cwd=root)
    grandchild = psutil.Process(_read_pid(tmp_path / "pid"))
    killed.kill()
    killed.wait()
    assert grandchild.is_running()

    after = Supervisor(environment={}, logs=tmp_path, record=tmp_path / "up.json")
    ended = after.open()
    after.close()

    assert ended == 2
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_only_got_an_old_number_is_left_alone(tmp_path: Path) -> None:
    from domain.files import write_json

    write_json(tmp_path / "up.json", {"pid": 1, "processes": [[os.getpid(), 1.0, "stranger"]]})

    after = Supervisor(environment={}, logs=tmp_path, record=tmp_path / "up.json")

    assert after.open() == 0
    after.close()


def test_commands_run_together_and_a_failure_says_what_it_wrote(supervisor: Supervisor) -> None:
    supervisor.run_together({"good": _python("-c", "print('fine')")})

    with pytest.raises(VitrineError, match=r"failed:(.|\n)*disk is full"):
        supervisor.run_together(
            {
                "good": _python("-c", "print('fine')"),
                "bad": _python("-c", "raise SystemExit('disk is full')"),
            }
        )


def test_memory_of_all_processes_is_added_up(supervisor: Supervisor, tmp_path: Path) -> None:
    before = psutil.Process().memory_info().rss
    hundred = (
        "import time, sys; held = bytearray(b'1') * 100_000_000; "
        "open(sys.argv[1], 'w').write('1'); time.sleep(600)"
    )
    supervisor.start(Service("large", _python("-c", hundred, str(tmp_path / "pid"))))
    _read_pid(tmp_path / "pid")

    supervisor.family.sample()

    assert supervisor.family.peak_bytes >= before + 90_000_000
