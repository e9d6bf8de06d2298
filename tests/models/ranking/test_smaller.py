from dataclasses import replace

import numpy as np
import pytest
import torch

from models.device import Device
from models.loop import LoopConfig
from models.ranking.config import SmallerConfig, TransformerConfig
from models.ranking.judge import score_lists
from models.ranking.smaller import save_smaller
from models.ranking.train import TrainContext
from models.ranking.transformer import CandidateTransformer

COLUMNS = slice(10, 14)
LOOP = LoopConfig(epochs=2, learning_rate=0.01, warmup_steps=1, patience=0)
CONFIG = SmallerConfig(width=12, loop=LOOP, mending=replace(LOOP, epochs=1))
CPU = TrainContext(seed=3, device=Device(torch.device("cpu"), False, "test"))


@pytest.fixture
def text_VE():
    text = np.random.default_rng(6).normal(size=(800, 8)).astype(np.float32)
    return text / np.linalg.norm(text, axis=1, keepdims=True)


@pytest.fixture
def teacher(text_VE):
    torch.manual_seed(3)
    return CandidateTransformer(
        TransformerConfig(width=48, batch_lists=8), torch.from_numpy(text_VE), 4
    ).eval()


def made(teacher, lists, folder, config=CONFIG):
    return save_smaller(
        teacher, lists, lists, item_columns=COLUMNS, config=config, context=CPU, folder=folder
    )


def scores_of(transformer, lists):
    return score_lists(transformer, lists, item_columns=COLUMNS)[lists.mask_LC]


def test_the_small_one_is_loaded_as_any_and_at_least_four_times_smaller(
    teacher, lists, text_VE, tmp_path
):
    teacher.save(tmp_path / "whole")
    notes = made(teacher, lists, tmp_path / "small")
    whole, small = (
        (tmp_path / name / "weights.safetensors").stat().st_size for name in ("whole", "small")
    )
    assert whole > 4 * small
    loaded = CandidateTransformer.load(tmp_path / "small", text_VE=torch.from_numpy(text_VE))
    assert loaded.config.width == 12
    assert np.isfinite(scores_of(loaded, lists)).all()
    assert len(notes["train_loss"]) == 2 + 1


def test_eight_bits_move_no_score_far_and_are_read_back_the_same(teacher, lists, text_VE, tmp_path):
    teacher.save_in_8_bits(tmp_path / "small")
    one, other = (
        CandidateTransformer.load(tmp_path / "small", text_VE=torch.from_numpy(text_VE))
        for _ in range(2)
    )
    np.testing.assert_array_equal(scores_of(one, lists), scores_of(other, lists))
    whole = scores_of(teacher, lists)
    assert np.abs(scores_of(one, lists) - whole).max() < 0.1 * whole.std()


def test_a_folded_transformer_scores_alike_and_unfolds_to_learn(teacher, lists):
    wanted = scores_of(teacher, lists)
    folded = teacher.folded()
    assert folded.items_VD is not None
    np.testing.assert_allclose(scores_of(folded, lists), wanted, atol=1e-5)
    assert "items_VD" not in folded.state_dict()
    assert folded.train().items_VD is None
