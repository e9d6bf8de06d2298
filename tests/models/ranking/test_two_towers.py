from dataclasses import replace

import numpy as np
import pytest
import torch

from models.device import Device
from models.loop import LoopConfig
from models.ranking.config import TwoTowersConfig
from models.ranking.features import group_slices, item_slice
from models.ranking.judge import list_ndcg, score_lists
from models.ranking.train import TrainContext, fit_two_towers
from models.ranking.two_towers import TwoTowers
from tests.models.ranking.conftest import SOURCES

CONFIG = TwoTowersConfig(
    width=16,
    hidden=32,
    dropout=0.0,
    batch_lists=8,
    loop=LoopConfig(epochs=60, learning_rate=0.01, warmup_steps=1, patience=0),
)
CPU = TrainContext(seed=3, device=Device(torch.device("cpu"), False, "test"))


@pytest.fixture
def towers(names, lists, text_VE):
    torch.manual_seed(3)
    made = TwoTowers(CONFIG, torch.from_numpy(text_VE), feature_count=len(names), sources=SOURCES)
    made.standardize_from(lists.features_LCF[lists.mask_LC])
    with torch.no_grad():
        made.weight_D.normal_()
    return made.eval()


def tensors(lists):
    features = torch.from_numpy(lists.features_LCF).clone()
    user = group_slices(SOURCES)["user"]
    features[..., user] = features[:, :1, user]  # A user is the same beside every candidate.
    return torch.from_numpy(lists.history_LT), torch.from_numpy(lists.item_index_LC), features


def test_a_score_is_w_times_the_product_of_the_towers(towers, lists):
    history, index, features = tensors(lists)
    scores = towers(history, index, features)
    user, items = towers.user_vectors(history, features[:, 0]), towers.item_vectors(index, features)
    h = user / towers.weight_D
    by_hand = (towers.weight_D * (h[:, None, :] * items)).sum(dim=2)
    torch.testing.assert_close(scores, by_hand, rtol=1e-4, atol=1e-4)


def test_with_w_of_one_it_is_the_dot_product(towers, lists):
    history, index, features = tensors(lists)
    with torch.no_grad():
        towers.weight_D.fill_(1.0)
    h, m = towers.user_vectors(history, features[:, 0]), towers.item_vectors(index, features)
    dots = torch.stack([m[row] @ h[row] for row in range(len(h))])
    torch.testing.assert_close(towers(history, index, features), dots, rtol=1e-4, atol=1e-5)


def test_neither_tower_reads_what_is_the_others(towers, lists):
    history, index, features = tensors(lists)
    groups, items = group_slices(SOURCES), item_slice(SOURCES)
    user_only, item_only = features.clone(), features.clone()
    user_only[..., items] = 7.0
    item_only[..., groups["user"]] = 7.0
    for name in (*SOURCES, "history", "bought", "content", "price"):
        user_only[..., groups[name]] = 7.0
        item_only[..., groups[name]] = 7.0
    same = towers.user_vectors(history, user_only[:, 0])
    assert torch.equal(same, towers.user_vectors(history, features[:, 0]))
    assert torch.equal(towers.item_vectors(index, item_only), towers.item_vectors(index, features))
    item_only[..., items] += 1.0
    assert not torch.equal(
        towers.item_vectors(index, item_only), towers.item_vectors(index, features)
    )


def test_padding_of_the_history_and_company_never_change_a_score(towers, lists):
    history, index, features = tensors(lists)
    whole = towers(history, index, features)
    padded = torch.nn.functional.pad(history, (7, 0))
    torch.testing.assert_close(towers(padded, index, features), whole)
    alone = towers(history[3:4], index[3:4, 4:5], features[3:4, 4:5])
    torch.testing.assert_close(alone[0, 0], whole[3, 4])


def test_it_learns_one_tiny_batch_by_heart(lists, text_VE):
    few = lists.take(np.arange(8))
    trained, history = fit_two_towers(
        few, few, text_VE=text_VE, sources=SOURCES, config=CONFIG, context=CPU
    )
    assert list_ndcg(score_lists(trained, few), few.labels_LC) > 0.95
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]


def test_labels_without_a_cause_are_not_found_again(lists, text_VE):
    shuffled = lists.labels_LC.copy()
    generator = np.random.default_rng(2)
    for row in shuffled:
        row[:10] = generator.permutation(row[:10])
    train, held_out = np.arange(8), np.arange(8, 16)
    noise = type(lists)(lists.features_LCF, lists.history_LT, lists.item_index_LC, shuffled)
    config = replace(CONFIG, loop=replace(CONFIG.loop, epochs=20))
    trained, _ = fit_two_towers(
        noise.take(train), noise.take(train), text_VE=text_VE, sources=SOURCES,
        config=config, context=CPU,
    )  # fmt: skip
    score = list_ndcg(score_lists(trained, noise.take(held_out)), noise.take(held_out).labels_LC)
    chance = np.mean(
        [
            list_ndcg(
                np.where(noise.take(held_out).mask_LC, generator.random((8, 12)), -np.inf),
                noise.take(held_out).labels_LC,
            )
            for _ in range(200)
        ]
    )
    assert abs(score - chance) < 0.25


def test_saved_and_loaded_it_scores_the_same(towers, lists, text_VE, tmp_path):
    towers.save(tmp_path / "towers")
    loaded = TwoTowers.load(tmp_path / "towers", text_VE=torch.from_numpy(text_VE))
    assert torch.equal(loaded(*tensors(lists)), towers(*tensors(lists)))
