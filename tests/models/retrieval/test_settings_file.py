import json

import pytest

from domain.errors import BadInputError
from models.retrieval import PRESETS, RETRIEVERS
from models.retrieval.config import (
    EaseConfig,
    NextItemConfig,
    PopularityConfig,
    SequenceConfig,
    VaeConfig,
)
from models.retrieval.settings_file import changed, read_settings, write_settings


@pytest.mark.parametrize("name", RETRIEVERS)
def test_what_is_written_is_read_again_whatever_preset_it_is_read_onto(tmp_path, name):
    path = tmp_path / "settings.json"
    write_settings(path, PRESETS["debug"].of(name), model=name, about={"score": 0.3})
    assert read_settings(path, PRESETS["base"].of(name), model=name) == PRESETS["debug"].of(name)
    assert json.loads(path.read_text())["about"] == {"score": 0.3}


def written(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_person_writes_what_differs_and_the_rest_stays(tmp_path):
    path = written(
        tmp_path, {"model": "vae", "settings": {"latent": 4, "als": {"alpha": 2}, "loop": {}}}
    )
    config = read_settings(path, VaeConfig(hidden=7), model="vae")
    assert (config.latent, config.als.alpha, config.hidden) == (4, 2.0, 7)
    assert config.als.factors == VaeConfig().als.factors


def test_values_become_what_the_field_wants():
    assert changed(PopularityConfig(), {"window_days": 7.0, "half_life_days": None}) == (
        PopularityConfig(window_days=7)
    )
    config = changed(SequenceConfig(), {"prior_half_lives_days": [1, 2.5]})
    assert config.prior_half_lives_days == (1.0, 2.5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"regularisation": 3}, "there is no regularisation; there are kept, most_items, power"),
        ({"regularization": "much"}, r"regularization: expected a number of 0 or more, got 'much'"),
        ({"regularization": -1}, "a number of 0 or more, got -1"),
        ({"regularization": None}, "a number of 0 or more, got None"),
        ({"kept": 2.5}, "kept: expected a whole number of 0 or more, got 2.5"),
        ({"kept": True}, "a whole number of 0 or more, got True"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, settings, said):
    path = written(tmp_path, {"model": "ease", "settings": settings})
    with pytest.raises(BadInputError, match=f"mine.json: settings.*{said}"):
        read_settings(path, EaseConfig(), model="ease")


def test_a_configuration_inside_wants_fields_of_its_own():
    with pytest.raises(BadInputError, match=r"settings.loop: expected fields of its own, got 3"):
        changed(NextItemConfig(), {"loop": 3})
    with pytest.raises(BadInputError, match=r"settings.loop: there is no epoch;"):
        changed(NextItemConfig(), {"loop": {"epoch": 3}})
    with pytest.raises(BadInputError, match=r"prior_half_lives_days: expected a list, got 3"):
        changed(SequenceConfig(), {"prior_half_lives_days": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no file of settings: Expecting property name"),
        ([1], 'expected {"model": …'),
        ({"model": "ease"}, 'expected {"model": …'),
        ({"model": "als", "settings": {}}, "holds settings of 'als', not of 'ease'"),
    ],
)
def test_what_is_no_file_of_settings_is_refused(tmp_path, content, said):
    with pytest.raises(BadInputError, match=said):
        read_settings(written(tmp_path, content), EaseConfig(), model="ease")
    with pytest.raises(BadInputError, match="No such file"):
        read_settings(tmp_path / "nowhere.json", EaseConfig(), model="ease")


def test_only_configurations_are_changed():
    with pytest.raises(TypeError, match="holds no fields"):
        changed(3, {})
