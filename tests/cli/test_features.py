"""``vitrine features`` as a process: it asks for a token, keeps it to itself, and ends well."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.schemas import MARTS
from domain.settings import Settings
from features.materialize import materialize
from features.tokens import find_tokens
from release.server import free_port

pytestmark = pytest.mark.slow

MAIN = "from cli.main import main; main()"
DAY = date(2011, 12, 6)
QUESTION = {"features": ["user_features:click_count_7d"], "entities": {"user_id": ["u1"]}}


def _publish(settings: Settings) -> None:
    moment = datetime(2011, 12, 6, 23, 59, 59, 999_999, tzinfo=UTC)
    for table in ("user_features", "item_features", "user_history"):
        entity = "item_id" if table == "item_features" else "user_id"
        row = {entity: "u1", "event_date": DAY, "event_timestamp": moment, "click_count_7d": 3}
        path = settings.marts / table / f"event_date={DAY}" / "part.parquet"
        path.parent.mkdir(parents=True)
        schema = MARTS[table]
        full = {name: row.get(name) for name in schema.names}
        pq.write_table(pa.Table.from_pylist([full], schema=schema), path)


def _ask(url: str, path: str, token: str | None = None, body: dict | None = None) -> int:
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body else None
    try:
        with urlopen(Request(url + path, data=data, headers=headers), timeout=30) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def _await(url: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if _ask(url, "/health") == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_the_server_asks_for_a_token_and_keeps_it_to_itself(home: Path, tmp_path: Path) -> None:
    _publish(Settings())
    materialize(Settings())
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "-v", "features", "--port", str(port)],
            env={**os.environ, "VITRINE_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, process, log)
        tokens = find_tokens(Settings())
        read, write = tokens.read.get_secret_value(), tokens.write.get_secret_value()
        assert _ask(url, "/get-online-features", None, QUESTION) == 401
        assert _ask(url, "/get-online-features", read, QUESTION) == 200
        assert _ask(url, "/materialize-incremental", read, {"end_ts": str(DAY)}) == 403
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    told = log.read_text()
    assert json.loads(told.strip().splitlines()[-1])["command"] == "features"
    assert read not in told
    assert write not in told


def test_an_empty_store_is_refused(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MAIN, "features"],
        env={**os.environ, "VITRINE_HOME": str(home), "VITRINE_FEATURE_PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "vitrine materialize" in ran.stderr
