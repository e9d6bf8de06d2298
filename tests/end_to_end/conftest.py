"""One small simulated shop, brought from raw rows to a live release by the real commands, once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from release.server import free_port
from tests.end_to_end.ways import Way, gone

VITRINE = Path(sys.executable).with_name("vitrine")


@dataclass(frozen=True)
class Shop:
    """A home, and the commands a person types in it."""

    home: Path

    def run(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run ``vitrine`` and look at how it ended."""
        done = subprocess.run(
            [str(VITRINE), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == expect, f"vitrine {' '.join(arguments)}\n{done.stderr[-4000:]}"
        return done

    def receipt(self, *arguments: str) -> dict:
        """Run ``vitrine`` and read the receipt in its last line."""
        return json.loads(self.run(*arguments).stdout.strip().splitlines()[-1])

    def environment(self, **more: str) -> dict[str, str]:
        """A clean environment: this home, the small shop, one thread."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("VITRINE")},
            "VITRINE_HOME": str(self.home),
            "VITRINE_SOURCE": "simulated",
            "VITRINE_SIMULATOR_PRESET": "debug",
            "VITRINE_PRESET": "debug",
            "HF_HUB_OFFLINE": "1",
            **more,
        }


@pytest.fixture(scope="session")
def days() -> list[str]:
    """The days of the small shop."""
    from simulator.config import PRESETS
    from simulator.shop import simulate

    return [day.isoformat() for day in simulate(PRESETS["debug"], seed=7).days]


@pytest.fixture(scope="session")
def receipts() -> dict[str, dict]:
    """What each command of the shop's day said."""
    return {}


@pytest.fixture(scope="session")
def shop(
    tmp_path_factory: pytest.TempPathFactory, days: list[str], receipts: dict[str, dict]
) -> Shop:
    """The shop after a history load, one daily run, a training and a release."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    last = days[-1]
    steps = {
        "ingest_history": ("ingest", "--history", "--until", last),
        "check_history": ("check", "landed", "--all"),
        "build_history": ("build", "--all"),
        "materialize_history": ("materialize",),
        "ingest_day": ("ingest", "--day", last),
        "check_day": ("check", "landed", "--day", last),
        "build_day": ("build", "--day", last),
        "check_features": ("check", "features", "--day", last),
        "materialize_day": ("materialize", "--day", last),
        "check_examples": ("check", "examples", "--all"),
        "train": ("train",),
        "evaluate": ("evaluate",),
        "release": ("release",),
    }
    for name, command in steps.items():
        receipts[name] = shop.receipt(*command)
    return shop


@pytest.fixture(scope="session")
def server(shop: Shop) -> Iterator[str]:
    """The live release, served by the real server on loopback; yields its address."""
    import httpx

    port = free_port()
    process = subprocess.Popen(
        [str(VITRINE), "serve", "--port", str(port)],
        env=shop.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    transport = httpx.HTTPTransport(retries=0)
    try:
        with httpx.Client(transport=transport) as client:
            for _ in range(600):
                try:
                    if client.get(f"{address}/readyz", timeout=2).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                if process.poll() is not None:
                    pytest.fail(f"vitrine serve ended with {process.returncode}")
                _pause()
            else:
                pytest.fail("vitrine serve was not ready within two minutes")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """A small shop's way, with the home before each step and what it holds after."""
    with gone(tmp_path_factory.mktemp("way")) as way:
        yield way


def _pause() -> None:
    import threading

    threading.Event().wait(0.2)
