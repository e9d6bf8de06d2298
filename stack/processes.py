"""Processes and all that they started: found, measured, ended.

Airflow's tasks run in sessions of their own and rename themselves, so neither the process group
nor the environment finds them all; the tree, watched while it lives, does.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Final

import psutil

SAMPLE_EVERY_S: Final = 1.0
GRACE_S: Final = 15.0


class Family:
    """All descendants of this process, remembered for as long as they live."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._members: dict[int, psutil.Process] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="family", daemon=True)

    def start(self) -> None:
        """Begin to look, once a second."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def sample(self) -> None:
        """Look once: who is there, and how much memory all hold (sum of resident sets)."""
        me = psutil.Process()
        with self._lock:
            known = {pid: p for pid, p in self._members.items() if p.is_running()}
            for process in descendants([me, *known.values()]):
                known.setdefault(process.pid, process)
            self._members = known
            self.peak_bytes = max(self.peak_bytes, resident_bytes([me, *known.values()]))

    def end_session(self, session: int, *, grace_s: float = 5.0) -> None:
        """End everyone of one session: what a service that died has left behind."""
        with self._lock:
            end_processes(
                [p for p in self._members.values() if _session_of(p) == session], grace_s=grace_s
            )

    def end(self, *, grace_s: float = GRACE_S) -> list[psutil.Process]:
        """End everyone who is left. Returns those that had to be killed."""
        self.sample()
        with self._lock:
            return end_processes(self._members.values(), grace_s=grace_s)

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            self.sample()


def descendants(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Everyone that the roots started, and those started, without the roots."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            found.update({child.pid: child for child in root.children(recursive=True)})
        except psutil.Error:
            continue
    return list(found.values())


def resident_bytes(processes: Iterable[psutil.Process]) -> int:
    """Sum of the resident sets; what processes share is counted in each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def end_processes(
    processes: Iterable[psutil.Process], *, grace_s: float = GRACE_S
) -> list[psutil.Process]:
    """Ask to end, wait, then kill. Returns those that had to be killed."""
    left = list(processes)
    for process in left:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(left, timeout=grace_s)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=5)
    return stubborn


def end_leftovers(recorded: Iterable[tuple[int, float]]) -> int:
    """End what an earlier run left behind: processes by id and start time, and their children.

    Returns:
        How many were ended.
    """
    roots = [process for pid, started in recorded if (process := _same(pid, started))]
    everyone = [*roots, *descendants(roots)]
    end_processes(everyone)
    return len(everyone)


def _same(pid: int, started: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - started) < 1.0 else None
    except psutil.Error:
        return None


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except psutil.Error:
        return
