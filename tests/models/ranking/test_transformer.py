import numpy as np
import pytest
import torch

from models.device import Device
from models.loop import LoopConfig
from models.ranking.config import TransformerConfig
from models.ranking.judge import list_ndcg, score_lists
from models.ranking.lists import RankingLists
from models.ranking.train import TrainContext, fit_transformer
from models.ranking.transformer import CandidateTransformer

CONFIG = TransformerConfig(
    width=16,
    heads=2,
    blocks=1,
    dropout=0.0,
    batch_lists=4,
    loop=LoopConfig(epochs=30, learning_rate=0.01, warmup_steps=1, patience=0),
)
CPU = TrainContext(seed=3, device=Device(torch.device("cpu"), False, "test"))
COLUMNS = slice(10, 14)


@pytest.fixture
def transformer(text_VE):
    torch.manual_seed(3)
    return CandidateTransformer(CONFIG, torch.from_numpy(text_VE), 4).eval()


def scores_of(model, lists: RankingLists, history=None):
    return model(
        torch.from_numpy(lists.history_LT if history is None else history),
        torch.from_numpy(lists.item_index_LC),
        torch.from_numpy(np.ascontiguousarray(lists.features_LCF[..., COLUMNS])),
    )


def test_one_score_a_candidate(transformer, lists):
    assert scores_of(transformer, lists).shape == (16, 12)


def test_it_learns_one_tiny_batch_by_heart(lists, text_VE):
    few = lists.take(np.arange(4))
    trained, history = fit_transformer(
        few, few, text_VE=text_VE, item_columns=COLUMNS, config=CONFIG, context=CPU
    )
    scores = score_lists(trained, few, item_columns=COLUMNS)
    assert list_ndcg(scores, few.labels_LC) == pytest.approx(1.0)
    assert history.train_loss[-1] < 0.7 * history.train_loss[0]


def test_more_padding_on_the_left_never_changes_a_score(transformer, lists):
    whole = scores_of(transformer, lists)
    cut = scores_of(transformer, lists, history=np.ascontiguousarray(lists.history_LT[:, 30:]))
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-5)


def test_other_candidates_never_change_a_score(transformer, lists):
    whole = scores_of(transformer, lists)
    some = RankingLists(
        lists.features_LCF[:, 2:5],
        lists.history_LT,
        lists.item_index_LC[:, 2:5],
        lists.labels_LC[:, 2:5],
    )
    torch.testing.assert_close(scores_of(transformer, some), whole[:, 2:5], rtol=1e-4, atol=1e-5)


def test_other_users_in_the_batch_never_change_a_score(transformer, lists):
    whole = scores_of(transformer, lists)
    one = scores_of(transformer, lists.take(np.array([7])))
    torch.testing.assert_close(one[0], whole[7], rtol=1e-4, atol=1e-5)


def test_an_empty_history_has_scores_too(transformer, lists):
    assert torch.isfinite(scores_of(transformer, lists, np.zeros_like(lists.history_LT))).all()


def test_the_history_and_its_order_matter(transformer, lists):
    turned = lists.history_LT.copy()
    turned[:, -4:] = turned[:, :-5:-1]
    whole = scores_of(transformer, lists)
    assert not torch.allclose(scores_of(transformer, lists, turned), whole, atol=1e-6)


def test_a_saved_transformer_gives_the_same_scores(transformer, lists, text_VE, tmp_path):
    transformer.save(tmp_path / "transformer")
    loaded = CandidateTransformer.load(tmp_path / "transformer", text_VE=torch.from_numpy(text_VE))
    torch.testing.assert_close(
        scores_of(loaded, lists), scores_of(transformer, lists), rtol=0, atol=0
    )
    assert "text_VE" not in transformer.state_dict()


def test_twenty_seeded_steps_end_at_the_golden_loss(lists, text_VE):
    # 5 epochs of 4 batches. Changes only with the model, the loss, the loop or torch.
    config = TransformerConfig(
        width=16,
        batch_lists=4,
        loop=LoopConfig(epochs=5, learning_rate=0.01, warmup_steps=2, patience=0),
    )
    _, history = fit_transformer(
        lists, lists, text_VE=text_VE, item_columns=COLUMNS, config=config, context=CPU
    )
    assert history.train_loss[-1] == pytest.approx(GOLDEN_LOSS, abs=2e-3)


GOLDEN_LOSS = 0.9383
