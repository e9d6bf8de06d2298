import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, date, datetime

import pytest

from domain.errors import StaleFeaturesError
from domain.settings import REPOSITORY, Settings
from features.materialize import materialize, missing_online
from features.online import FeatureReader
from features.stamps import find_stamp

NOW = datetime(2011, 12, 7, 9, tzinfo=UTC)
FIRST, LAST = date(2011, 12, 1), date(2011, 12, 6)


def everything(settings: Settings) -> list[dict]:
    reader = FeatureReader(settings)
    users = reader.users([f"u{n}" for n in range(40)], now=NOW).to_pylist()
    return users + reader.items([f"i{n}" for n in range(20)], now=NOW).to_pylist()


def one_row(publish, day: date, *, clicks: int, user: str = "u1") -> None:
    publish("user_features", day, [{"user_id": user, "click_count_7d": clicks}])
    publish("user_history", day, [{"user_id": user, "history_item_ids": [f"i{clicks}"]}])
    publish("item_features", day, [{"item_id": "i1", "click_count_7d": clicks}])


def clicks_online(settings: Settings, user: str = "u1") -> int:
    return FeatureReader(settings).users([user], now=NOW)["click_count_7d"][0].as_py()


def test_a_receipt_counts_each_entity_once_however_many_days_it_has(shop):
    receipt = materialize(shop)
    assert receipt.details["rows"] == {"user_features": 40, "item_features": 20, "user_history": 40}
    assert receipt.rows_in == receipt.rows_out == 100
    assert receipt.key == "2011-12-06"


def test_day_by_day_ends_where_all_at_once_ends(shop):
    for day in range(1, 7):
        materialize(shop, date(2011, 12, day))
    by_day = everything(shop)
    for path in shop.feast.iterdir():
        path.unlink()
    materialize(shop)
    assert everything(shop) == by_day


def test_doing_it_again_writes_nothing_and_only_the_version_grows(shop):
    materialize(shop)
    before = everything(shop)
    again = materialize(shop)
    assert again.rows_in == 0
    assert everything(shop) == before
    assert find_stamp(shop.online_address).version == 2


def test_days_after_the_asked_for_one_stay_offline(publish):
    one_row(publish, FIRST, clicks=1)
    one_row(publish, LAST, clicks=6)
    settings = Settings()
    materialize(settings, FIRST)
    assert clicks_online(settings) == 1
    assert find_stamp(settings.online_address).event_date == FIRST


def test_an_old_day_never_puts_an_older_value_over_a_newer_one(publish):
    one_row(publish, FIRST, clicks=1)
    one_row(publish, LAST, clicks=6)
    settings = Settings()
    materialize(settings)
    one_row(publish, FIRST, clicks=99)
    materialize(settings, FIRST)
    assert clicks_online(settings) == 6
    assert find_stamp(settings.online_address).event_date == LAST


def test_a_late_row_of_an_old_day_comes_online_where_it_is_the_newest(publish):
    one_row(publish, FIRST, clicks=1)
    one_row(publish, LAST, clicks=6)
    settings = Settings()
    materialize(settings)
    one_row(publish, date(2011, 12, 3), clicks=3, user="late")
    materialize(settings, date(2011, 12, 3))
    assert clicks_online(settings, "late") == 3
    assert clicks_online(settings) == 6


def test_a_rebuilt_newest_day_replaces_its_values(publish):
    one_row(publish, FIRST, clicks=1)
    settings = Settings()
    materialize(settings)
    one_row(publish, FIRST, clicks=2)
    materialize(settings)
    assert clicks_online(settings) == 2


def test_the_store_itself_keeps_the_newer_value(publish, monkeypatch):
    """Whoever runs ``feast materialize`` by hand over an old day does no harm either."""
    from domain.clock import midnight
    from features.quiet import quiet
    from features.store import open_store

    one_row(publish, FIRST, clicks=1)
    one_row(publish, LAST, clicks=6)
    settings = Settings()
    materialize(settings)
    with quiet():
        open_store(settings).materialize(midnight(FIRST), midnight(date(2011, 12, 2)))
    assert clicks_online(settings) == 6


def test_lost_rows_are_found(shop):
    materialize(shop)
    whole = missing_online(shop, "user_features", start=FIRST, until=LAST)
    with sqlite3.connect(shop.feast / "online.db") as store:
        store.execute(
            "DELETE FROM vitrine_user_features WHERE entity_key IN "
            "(SELECT entity_key FROM vitrine_user_features LIMIT 1)"
        )
    assert whole == (40, 0)
    assert missing_online(shop, "user_features", start=FIRST, until=LAST) == (40, 1)


def test_a_lost_online_store_is_filled_again_from_the_marts(shop):
    materialize(shop)
    before = everything(shop)
    for name in ("online.db", "stamp.json"):
        (shop.feast / name).unlink()
    materialize(shop)
    assert everything(shop) == before


def test_nothing_published_is_said(home):
    with pytest.raises(StaleFeaturesError, match="vitrine build"):
        materialize(Settings())


def run_materialize(settings: Settings) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN],
        cwd=REPOSITORY,
        env={**os.environ, "VITRINE_HOME": str(settings.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


_RUN = "import sys; sys.argv = ['vitrine', 'materialize']; from cli.main import main; main()"


@pytest.mark.slow
def test_killed_at_any_moment_then_run_again_ends_in_the_same_state(shop):
    """Killed once as the registry appears, once as the online store fills; then an ordinary run."""
    for sign in ("registry.db", "online.db"):
        process = run_materialize(shop)
        deadline = time.monotonic() + 120
        while not (shop.feast / sign).exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
    assert run_materialize(shop).wait() == 0
    killed = everything(shop)
    for path in shop.feast.iterdir():
        path.unlink()
    materialize(shop)
    assert everything(shop) == killed
