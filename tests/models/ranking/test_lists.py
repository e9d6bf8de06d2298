import numpy as np
import torch

from models.ranking.lists import RankingLists, concatenate, list_batches


def test_thinning_keeps_what_was_wanted_and_never_padding(lists):
    thin = lists.thinned(length=5, seed=1)
    assert thin.item_index_LC.shape == (16, 5)
    assert (thin.item_index_LC > 0).all()
    for row in range(len(lists)):
        wanted = set(lists.item_index_LC[row][lists.labels_LC[row] > 0])
        assert wanted == set(thin.item_index_LC[row][thin.labels_LC[row] > 0])


def test_thinning_keeps_each_candidate_with_its_own_features(lists):
    thin = lists.thinned(length=5, seed=1)
    for row in range(len(lists)):
        for item, features in zip(thin.item_index_LC[row], thin.features_LCF[row], strict=True):
            before = int(np.flatnonzero(lists.item_index_LC[row] == item)[0])
            np.testing.assert_array_equal(features, lists.features_LCF[row, before])


def test_short_lists_are_not_thinned(lists):
    assert lists.thinned(length=12, seed=1) is lists


def test_lists_without_a_label_are_left_out(lists):
    lists.labels_LC[3] = 0.0
    assert len(lists.with_a_label()) == 15


def test_concatenation_pads_on_the_right(lists):
    short = lists.thinned(length=5, seed=1)
    both = concatenate([short, lists])
    assert both.item_index_LC.shape == (32, 12)
    assert not both.mask_LC[:16, 5:].any()
    np.testing.assert_array_equal(both.item_index_LC[:16, :5], short.item_index_LC)


def test_what_was_saved_is_what_is_loaded(lists, tmp_path):
    lists.save(tmp_path / "train.lists")
    loaded = RankingLists.load(tmp_path / "train.lists")
    np.testing.assert_array_equal(loaded.features_LCF, lists.features_LCF)
    np.testing.assert_array_equal(loaded.history_LT, lists.history_LT)
    np.testing.assert_array_equal(loaded.item_index_LC, lists.item_index_LC)
    np.testing.assert_array_equal(loaded.labels_LC, lists.labels_LC)


def test_an_epoch_holds_every_list_once_in_an_order_of_its_own(lists):
    batches = list_batches(lists, batch_lists=5, seed=1, device=torch.device("cpu"))
    epochs = [
        [tuple(row) for batch in batches.epoch(number) for row in batch.item_index_LC.tolist()]
        for number in (0, 1, 0)
    ]
    assert len(batches) == 4
    assert sorted(epochs[0]) == sorted(map(tuple, lists.item_index_LC.tolist()))
    assert epochs[0] != epochs[1]
    assert epochs[0] == epochs[2]
