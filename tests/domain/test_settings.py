from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.settings import Settings, remember_shop


def test_every_place_lies_under_home(home: Path):
    settings = Settings()
    places = [
        getattr(settings, name)
        for name, value in vars(Settings).items()
        if isinstance(value, property) and name != "model_fields_set"
    ]
    paths = [place for place in places if isinstance(place, Path)]
    assert len(paths) >= 10
    assert all(path.is_relative_to(home) for path in paths)


def test_settings_do_not_change_after_they_were_read():
    with pytest.raises(ValidationError):
        Settings().serve_port = 1


def test_a_password_does_not_show(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VITRINE_AIRFLOW_PASSWORD", "hunter2")
    assert "hunter2" not in repr(Settings())


def test_a_home_remembers_its_shop_and_the_environment_outranks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    remember_shop(Settings(source="online_retail", data=tmp_path))
    assert (Settings().source, Settings().data) == ("online_retail", tmp_path)
    monkeypatch.setenv("VITRINE_SOURCE", "simulated")
    assert Settings().source == "simulated"
