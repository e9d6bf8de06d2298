"""The real server on a bundle: started, watched, ended with all its children."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from release.bundle import BundleError, environment

logger = logging.getLogger(__name__)

START_SECONDS: Final = 240.0
STOP_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.25
LAST_LINES: Final = 8


_LAUNCH: Final = (
    (
        sys.executable,
        "-c",
        # The kernel ends the server when whoever started it is killed (prctl 1 = PR_SET_PDEATHSIG,
        # 15 = SIGTERM). Asked for here, not in preexec_fn: that is unsafe beside torch's threads.
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); "
        "os.execv(sys.executable, [sys.executable, '-m', *sys.argv[1:]])",
    )
    if sys.platform == "linux"
    else (sys.executable, "-m")
)


@dataclass(frozen=True)
class Server:
    """A running server: its process group, address and log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def is_running(self) -> bool:
        """Whether the supervising process lives."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The end of the log: where a refusal to start says why."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def wait_until_ready(
        self, *, seconds: float = START_SECONDS, stop: threading.Event | None = None
    ) -> None:
        """Wait until the workers take requests, or ``stop`` is set.

        Raises:
            BundleError: If the server ends first, or takes longer.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.is_running():
                raise BundleError(f"the server refused to start: {self.last_words()}")
            if self._is_ready() or (stop is not None and stop.is_set()):
                return
            time.sleep(POLL_SECONDS)
        raise BundleError(f"the server was not ready after {seconds:.0f} s: {self.last_words()}")

    def post(self, path: str, body: Mapping[str, object]) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a request."""
        request = Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)

    def stop(self) -> None:
        """End the server and every child it has: asked first, then told."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sent)
            except ProcessLookupError:
                break
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("the server did not end within %s s of %s", STOP_SECONDS, sent)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def start(
    tag: str, *, home: Path, host: str, port: int, log: Path, settings: Mapping[str, str]
) -> Server:
    """Start ``bentoml serve`` on an imported bundle, from an empty folder.

    Args:
        tag: What ``import_bundle`` returned.
        home: Its BentoML home.
        host: Loopback, unless asked otherwise.
        port: A free one.
        log: Where the server's output goes.
        settings: ``VITRINE_…`` variables: all that the server is told.
    """
    empty = log.parent / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_LAUNCH, "bentoml", "serve", tag, "--host", host, "--port", str(port)],
            cwd=empty,
            env=environment(home, **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its own group: the supervisor's children end with it.
            start_new_session=True,
        )
    return Server(process, f"http://{host}:{port}", log)


@contextmanager
def serving(
    tag: str, *, home: Path, log: Path, settings: Mapping[str, str], port: int | None = None
) -> Iterator[Server]:
    """A ready server on loopback, ended at the end of the block."""
    server = start(
        tag, home=home, host="127.0.0.1", port=port or free_port(), log=log, settings=settings
    )
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
