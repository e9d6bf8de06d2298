"""Data docs and reports are shown; the rest of the home is not."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from domain.settings import Settings
from stack.static import make_server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(home=tmp_path, docs_port=7197)
    docs = settings.quality / "data_docs"
    report = settings.runs / "r1" / "evaluation"
    for folder in (docs, report, settings.airflow):
        folder.mkdir(parents=True)
    (docs / "index.html").write_text("the data docs")
    (report / "report.html").write_text("the report")
    (settings.runs / "r1" / "run.json").write_text("{}")
    (settings.airflow / "passwords.json").write_text("secret")
    server = make_server(settings)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with httpx.Client(base_url="http://127.0.0.1:7197") as client:
        yield client
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_index_leads_to_docs_and_reports(site: httpx.Client) -> None:
    page = site.get("/").text

    assert "/data-docs/" in page
    assert "/reports/r1/evaluation/report.html" in page
    assert site.get("/data-docs/").text == "the data docs"
    assert site.get("/reports/r1/evaluation/report.html").text == "the report"


@pytest.mark.parametrize(
    "path",
    [
        "/airflow/passwords.json",
        "/reports/../airflow/passwords.json",
        "/reports/%2e%2e/airflow/passwords.json",
        "/data-docs/%2e%2e/%2e%2e/airflow/passwords.json",
        "/reports/r1/run.json",
        "/reports/",
        "/reports/r1/evaluation/",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_shown(site: httpx.Client, path: str) -> None:
    assert site.get(path).status_code == 404
