"""What all tests share: a home of their own, and no way to a network."""

from pathlib import Path

import prometheus_client  # noqa: F401 — chooses memory, before Feast's import asks for files
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import servers

SHARED = Path(__file__).parents[1].parent / "shared"
TOGETHER = ("tests/stack/test_airflow.py", "tests/end_to_end/", "tests/release/", "tests/bentos/")
"""What shares something that takes long to make stays in one process; the longest begin first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-servers",
        action="store_true",
        help="fail, instead of skipping, where PostgreSQL or Redis is not reachable",
    )


def pytest_configure(config: pytest.Config) -> None:
    servers.required = config.getoption("--require-servers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(_scope(item.nodeid), len(places)))


class TogetherScheduling(LoadScopeScheduling):
    """A file, or what shares a shop with it, in one process; in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # By count of tests: the slowest files have few.

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TogetherScheduling:
    return TogetherScheduling(config, log)


def _scope(nodeid: str) -> str:
    file = nodeid.split("::", maxsplit=1)[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    # Set by Feast's metrics when they are imported: the service would look for its own in there.
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The test's own VITRINE_HOME."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; the test is skipped where it is absent."""
    if not SHARED.exists():
        pytest.skip("needs ../shared, the folder of real data beside the checkout")
    return SHARED
