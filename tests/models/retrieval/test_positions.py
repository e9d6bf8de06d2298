import numpy as np
import pytest
import torch

from models.retrieval.positions import Positions

LENGTHS = [1, 2, 3, 3, 9, 30, 2, 4, 5, 5, 6, 12]


def positions(**changes):
    user = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    item = np.arange(len(user)) + 2
    draw = np.full(len(user) + 2, 1.0 / len(user))
    draw[:2] = 0.0
    settings = {"history_length": 8, "batch_targets": 10, "negatives": 5, "seed": 7, **changes}
    return Positions(user, item, draw_V=draw, device=torch.device("cpu"), **settings)


def pairs(batches):
    """Each target with all that its history says."""
    found = []
    for batch in batches:
        width = batch.history_BT.shape[1]
        for at, target in zip(batch.at_P.tolist(), batch.target_P.tolist(), strict=True):
            row, place = divmod(at, width)
            found.append((tuple(batch.history_BT[row, : place + 1].tolist()), target))
    return found


def test_every_interaction_but_the_first_is_a_target_once():
    rows = positions()
    found = pairs(rows.epoch(0))
    starts = set(np.cumsum([0, *LENGTHS[:-1]]) + 2)
    assert sorted(target for _, target in found) == sorted(set(range(2, 84)) - starts)
    assert rows.target_count == len(found)


def test_a_history_is_what_came_right_before_and_of_the_same_user():
    for history, target in pairs(positions().epoch(0)):
        assert history == tuple(range(target - len(history), target))
        user = np.searchsorted(np.cumsum(LENGTHS), target - 2, side="right")
        assert history[0] - 2 >= np.sum(LENGTHS[:user])
        assert len(history) <= 8


def test_a_batch_has_about_the_asked_targets_and_histories_of_like_length():
    rows = positions(batch_targets=15)
    batches = list(rows.epoch(3))
    assert len(batches) <= len(rows)
    assert max(len(batch) for batch in batches) <= 15 + 8
    cells = sum(batch.history_BT.numel() for batch in batches)
    assert rows.target_count / cells > 0.6


def test_the_same_number_gives_the_same_epoch_and_another_number_another():
    one, same, other = (list(positions().epoch(number)) for number in (4, 4, 5))
    assert all(torch.equal(a.history_BT, b.history_BT) for a, b in zip(one, same, strict=True))
    assert all(torch.equal(a.negative_N, b.negative_N) for a, b in zip(one, same, strict=True))
    assert pairs(one) != pairs(other)


def test_shares_hold_each_target_once():
    for batch in positions().epoch(0):
        shares = [batch.share(number, 3) for number in range(3)]
        assert sorted(pairs(shares)) == sorted(pairs([batch]))
        assert sum(map(len, shares)) == len(batch)


@pytest.mark.parametrize("negatives", [0, 400])
def test_negatives_are_drawn_by_their_shares(negatives):
    drawn = torch.cat([batch.negative_N for batch in positions(negatives=negatives).epoch(0)])
    assert not ((drawn < 2) | (drawn >= 84)).any()
    if negatives:
        counts = np.bincount(drawn.numpy(), minlength=84)[2:]
        assert counts.min() > 0.4 * counts.mean()
