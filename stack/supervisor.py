"""Keeps services running: starts them, starts them again when they die, ends them all."""

import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from domain.errors import VitrineError
from domain.files import write_json
from stack.processes import Family, end_leftovers

logger = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0
MOST_RESTARTS: Final = 6


@dataclass(frozen=True)
class Service:
    """A command that is to run until it is stopped.

    ``start_s``: how long until it answers. ``niceness``: how far it steps back where cores are few.
    """

    name: str
    command: tuple[str, ...]
    url: str = ""
    start_s: float = 120.0
    niceness: int = 0


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    due: float | None = None


class Supervisor:
    """The services of one ``vitrine up``.

    A service that dies is started again after 1, 2, 4 … seconds; one that dies six times without
    ever running for a minute is given up, and ``require_running`` says so.
    """

    def __init__(self, *, environment: Mapping[str, str], logs: Path, record: Path) -> None:
        self.environment = dict(environment)
        self.logs = logs
        self._record = record
        self._running: dict[str, _Running] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.family = Family()
        self.given_up: list[str] = []
        self.restarts = 0

    def open(self) -> int:
        """End what a killed run left behind and begin to watch. Returns how many were ended."""
        ended = end_leftovers(_recorded(self._record))
        self.logs.mkdir(parents=True, exist_ok=True)
        self.family.start()
        self._thread.start()
        return ended

    def start(self, service: Service) -> None:
        """Start a service; its output goes to ``logs/<name>.log``."""
        with self._lock:
            self._running[service.name] = _Running(
                service, self._spawn(service), started=time.monotonic()
            )
            self._write_record()

    def run_together(self, commands: Mapping[str, tuple[str, ...]]) -> None:
        """Run commands to their ends, at the same time.

        Raises:
            VitrineError: If one fails, with the last lines it wrote.
        """
        started = {name: self._spawn(Service(name, line)) for name, line in commands.items()}
        failed = [name for name, process in started.items() if process.wait() != 0]
        for name in failed:
            raise VitrineError(f"{' '.join(commands[name])} failed:\n{self.last_lines(name)}")

    def require_running(self) -> None:
        """Refuse to go on without a service that was given up.

        Raises:
            VitrineError: Naming it, with the last lines it wrote.
        """
        with self._lock:
            for name in self.given_up:
                raise VitrineError(f"{name} does not stay up:\n{self.last_lines(name)}")

    def last_lines(self, name: str, count: int = 12) -> str:
        """The last lines that a service wrote."""
        text = (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-count:])

    def close(self) -> None:
        """End every service and all that it started."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.family.sample()
        with self._lock:
            stubborn = self.family.end()
            for running in self._running.values():
                running.process.wait()
            self._running.clear()
        self.family.stop()
        self._record.unlink(missing_ok=True)
        logger.info("everything has ended; %d processes had to be killed", len(stubborn))

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        stepping_back = ("nice", "-n", str(service.niceness)) if service.niceness else ()
        with self._log(service.name) as log:
            return subprocess.Popen(
                (*stepping_back, *service.command),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end the others in order
            )

    def _log(self, name: str) -> IO[bytes]:
        self.logs.mkdir(parents=True, exist_ok=True)
        return (self.logs / f"{name}.log").open("ab")

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            with self._lock:
                for running in self._running.values():
                    self._look_after(running, now=time.monotonic())

    def _look_after(self, running: _Running, *, now: float) -> None:
        name = running.service.name
        if name in self.given_up or running.process.poll() is None:
            return
        if running.due is None:
            running.failures = 1 if now - running.started > STEADY_AFTER_S else running.failures + 1
            running.due = now + min(2.0 ** (running.failures - 1), LONGEST_WAIT_S)
            logger.warning("%s ended with %s", name, running.process.returncode)
            # A killed scheduler's workers would go on with tasks that the next one runs again.
            self.family.end_session(running.process.pid)
        if running.failures >= MOST_RESTARTS:
            self.given_up.append(name)
        elif now >= running.due:
            running.process, running.started = self._spawn(running.service), now
            running.due = None
            self.restarts += 1
            self._write_record()

    def _write_record(self) -> None:
        processes = []
        for running in self._running.values():
            try:
                process = psutil.Process(running.process.pid)
                processes.append([process.pid, process.create_time(), running.service.name])
            except psutil.Error:
                continue
        write_json(self._record, {"pid": os.getpid(), "processes": processes})


def _recorded(path: Path) -> list[tuple[int, float]]:
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return [(int(pid), float(started)) for pid, started, _ in content["processes"]]
