"""The definitions, as Feast's own command and SDK see them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.schemas import MARTS
from domain.settings import REPOSITORY, Settings
from features.store import VIEWS, apply, load_definitions, open_store

FEAST = Path(sys.executable).with_name("feast")
_ARROW = {
    "Int64": "int64",
    "Float64": "double",
    "UnixTimestamp": "timestamp[us, tz=UTC]",
    "Array(String)": "list<item: string>",
    "Array(Float32)": "list<item: float>",
}


def view(name: str):
    return next(
        value
        for value in load_definitions(Settings())
        if getattr(value, "name", "") == name and hasattr(value, "batch_source")
    )


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_the_columns_and_types_of_its_mart(name):
    defined = {field.name: _ARROW[str(field.dtype)] for field in view(name).features}
    keys = {"user_id", "item_id", "event_date", "event_timestamp"}
    published = {
        field.name: str(field.type).replace("element", "item")
        for field in MARTS[name]
        if field.name not in keys
    }
    assert defined == published


def test_windows_expire_the_day_after_the_longest_and_what_was_bought_never_does():
    assert view("user_features").ttl.days == 91
    assert view("item_features").ttl.days == 91
    assert not view("user_history").ttl


def test_each_model_has_a_service_of_its_name(home):
    apply(Settings())
    store = open_store(Settings())
    views = {
        service.name: [projection.name for projection in service.feature_view_projections]
        for service in store.list_feature_services()
    }
    assert views == {
        "retrieval": ["user_history"],
        "ranking": ["user_features", "item_features", "user_history", "request_features"],
    }


def test_every_definition_says_what_it_is():
    for value in load_definitions(Settings()):
        if type(value).__name__ not in {"FileSource", "RequestSource"}:
            assert value.description


@pytest.mark.slow
def test_feasts_own_command_applies_and_lists_below_this_home(home):
    environment = {**os.environ, "VITRINE_HOME": str(home)}
    for command, expected in ((["apply"], "vitrine"), (["feature-views", "list"], "user_history")):
        done = subprocess.run(
            [FEAST, "-c", "feature_repo", *command],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in done.stdout
    assert (home / "feast" / "registry.db").exists()
    assert (home / "feast" / "online.db").exists()
