"""Spaces of all retrievers: each holds its preset, and what lies at its ends can be trained."""

from dataclasses import replace

import numpy as np
import pytest

from domain.errors import BadInputError
from models.histories import user_batch_at
from models.retrieval import PRESETS, RETRIEVERS, FitContext
from models.retrieval.config import EaseConfig, Gpt2Config, NextItemConfig
from models.retrieval.settings_file import changed, nested, value_of
from models.retrieval.spaces import SPACES, Choice, Range, space_of


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", RETRIEVERS)
def test_every_retriever_has_a_space_that_holds_its_preset(name, preset):
    config = PRESETS[preset].of(name)
    space = space_of(config)
    assert space
    assert list(space) == sorted(space)
    for key, dimension in space.items():
        assert dimension.including(value_of(config, key)) == dimension


def ends(space):
    """The lowest of everything (the first of a choice), then the highest (the last)."""
    for end in (0, -1):
        yield {
            name: dimension.values[end]
            if isinstance(dimension, Choice)
            else (dimension.low, dimension.high)[end]
            for name, dimension in space.items()
        }


def short(config):
    """Trained for one epoch, for a network's settings are under test and not what it learns."""
    return (
        replace(config, loop=replace(config.loop, epochs=1)) if hasattr(config, "loop") else config
    )


@pytest.mark.parametrize("name", RETRIEVERS)
def test_settings_at_the_ends_of_a_space_can_be_trained(planted, name):
    config = short(PRESETS["debug"].of(name))
    users = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    text_VE = np.random.default_rng(1).normal(size=(len(planted.catalog), 8)).astype(np.float32)
    for values in ends(space_of(config)):
        model = RETRIEVERS[name].fit(
            planted.before(planted.cutoff),
            planted.catalog,
            until=planted.cutoff,
            config=changed(config, nested(values)),
            context=FitContext(text_VE=text_VE),
        )
        scores = model.scores(users)
        assert not np.isnan(scores).any()
        assert np.isfinite(scores[:, 2:]).any()


def test_a_configuration_made_from_another_has_its_space():
    assert Gpt2Config not in SPACES
    assert set(space_of(Gpt2Config())) == set(SPACES[NextItemConfig])


def test_a_space_is_widened_to_hold_the_preset():
    space = space_of(NextItemConfig(width=16, negatives=8))
    assert space["width"] == Choice((32, 64, 128, 16))
    assert space["negatives"] == Range(8, 4_096, is_log=True)


def test_a_configuration_without_a_space_is_refused(monkeypatch):
    monkeypatch.setattr("models.retrieval.spaces.SPACES", {})
    with pytest.raises(BadInputError, match="EaseConfig has no search space: name it in"):
        space_of(EaseConfig())


@pytest.mark.parametrize("ends", [(2, 1), (1, 1), (0.0, 1.0)])
def test_what_is_no_range_is_refused(ends):
    with pytest.raises(ValueError, match="no range"):
        Range(*ends, is_log=True)


def test_a_range_takes_numbers_alone():
    with pytest.raises(ValueError, match="None is no number"):
        Range(0.0, 1.0).including(None)
