from dataclasses import FrozenInstanceError, replace
from datetime import date

import pytest

from domain.errors import BadInputError
from models.presets import PRESETS, preset_of, run_name

UNTIL = date(2011, 11, 1)


def name_of(preset, data="a", until=UNTIL):
    return run_name(preset, name="base", until=until, data_hash=data)


def test_the_presets_are_the_ones_we_agreed_on():
    assert set(PRESETS) == {"debug", "base", "small"}


def test_small_is_base_with_a_smaller_ranker():
    assert PRESETS["small"].smaller is not None
    assert replace(PRESETS["small"], smaller=None) == PRESETS["base"]


def test_a_run_is_named_after_all_that_decides_it():
    base = PRESETS["base"]
    assert name_of(base).startswith("2011-11-01-base-")
    assert name_of(base) == name_of(replace(base))
    assert name_of(base) != name_of(replace(base, seed=8))
    assert name_of(base) != name_of(base, data="b")


def test_a_preset_cannot_be_changed_in_passing():
    with pytest.raises(FrozenInstanceError):
        PRESETS["base"].seed = 1


def test_a_preset_that_does_not_exist_is_bad_input():
    with pytest.raises(BadInputError, match="base"):
        preset_of("huge")
