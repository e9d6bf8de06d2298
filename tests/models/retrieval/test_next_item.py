"""The next-item network: what each position may see, what it learns, and what it does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.device import Device
from models.histories import user_batch_at
from models.loop import LoopConfig, fit
from models.retrieval import FitContext
from models.retrieval.config import NextItemConfig
from models.retrieval.next_item import (
    NextItemNetwork,
    NextItemRetriever,
    draw_shares,
    make_loss,
    positions_of,
)
from models.retrieval.positions import PositionBatch

V = 30
CPU = Device(torch.device("cpu"), False, "")
CONFIG = NextItemConfig(
    width=16,
    blocks=2,
    heads=2,
    dropout=0.0,
    negatives=16,
    batch_targets=64,
    loop=LoopConfig(epochs=10, learning_rate=0.02, warmup_steps=1, patience=0),
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    net = NextItemNetwork(CONFIG, V, torch.randn(V, 8))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


def histories(rows=6, steps=12):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, V, (rows, steps), generator=generator)


def test_what_comes_later_never_changes_a_state(network):
    history, items = histories(), network.items()
    states = network(items[history])
    other = history.clone()
    other[:, 7:] = histories(rows=6, steps=5) % 7 + 2
    assert torch.allclose(network(items[other])[:, :7], states[:, :7], atol=1e-5)
    assert not torch.allclose(network(items[other])[:, 7:], states[:, 7:], atol=1e-2)


def test_padding_never_changes_a_state(network):
    history, items = histories(), network.items()
    right = torch.cat([history, torch.zeros(6, 5, dtype=torch.long)], dim=1)
    states = network(items[history])
    assert torch.allclose(network(items[right])[:, :12], states, atol=1e-5)
    left = torch.cat([torch.zeros(6, 9, dtype=torch.long), history], dim=1)
    assert torch.allclose(network.last_states(left, items), states[:, -1], atol=1e-5)


def test_a_row_has_its_own_state_whatever_the_lengths_beside_it(network):
    history, items = histories(rows=9, steps=12), network.items()
    for row, length in enumerate([3, 12, 1, 0, 12, 7, 2, 4, 1]):
        history[row, : 12 - length] = 0
    together = network.last_states(history, items)
    for row in (row for row in range(9) if row != 3):
        alone = network(items[history[row][history[row] > 0]][None])[0, -1]
        assert torch.allclose(together[row], alone, atol=1e-5)
    assert network.last_states(history[:0], items).shape == (0, together.shape[1])


def test_some_items_are_the_rows_of_all_of_them(network):
    asked = torch.tensor([7, 3, 7])
    assert torch.allclose(network.items.rows(asked), network.items()[asked], atol=1e-6)


def walks(count=40, steps=9, seed=2):
    """Each user goes round the catalog, three items a step."""
    begins = np.random.default_rng(seed).integers(0, V - 2, count)
    item = (begins[:, None] + 3 * np.arange(steps)) % (V - 2) + 2
    return np.repeat(np.arange(count), steps), item.ravel()


def positions(user, item, config=CONFIG):
    return positions_of(user, item, catalog_size=V, config=config, device=CPU)


def trained(user, item, config=CONFIG):
    torch.manual_seed(config.seed)
    net = NextItemNetwork(config, V)
    loss = make_loss(config, draw_shares(item, V, power=config.negative_power), CPU)
    history = fit(net, positions(user, item, config), loss, config=config.loop)
    return net, history


@torch.inference_mode()
def hit_share(net, user, item):
    """How often the highest logit is the next item."""
    items = net.items()
    hits = total = 0
    for batch in positions(user, item).epoch(0):
        states = net(items[batch.history_BT]).flatten(0, 1)[batch.at_P]
        logits = states @ items.T
        logits[:, :2] = -torch.inf
        hits += int((logits.argmax(dim=1) == batch.target_P).sum())
        total += len(batch)
    return hits / total


@pytest.mark.parametrize("negatives", [0, 16])
def test_one_small_batch_is_learned_by_heart_and_so_is_the_rule_behind_it(negatives):
    net, history = trained(*walks(), replace(CONFIG, negatives=negatives))
    assert history.train_loss[-1] < 0.2 * history.train_loss[0]
    assert hit_share(net, *walks()) > 0.95
    assert hit_share(net, *walks(seed=3)) > 0.9


def test_where_there_is_no_order_the_next_item_is_chance():
    generator = np.random.default_rng(5)
    user, item = walks(count=80)
    net, _ = trained(user, generator.permutation(item))
    assert hit_share(net, user, generator.permutation(item)) < 3 / (V - 2)


GOLDEN = {0: 2.6335, 16: 2.6371}


@pytest.mark.parametrize("negatives", GOLDEN)
def test_twenty_seeded_steps_end_at_the_loss_they_always_did(negatives):
    """A changed number here is a changed model: say so where it is changed."""
    loop = replace(CONFIG.loop, epochs=4, learning_rate=0.005)
    user, item = walks()
    _, history = trained(user, item, replace(CONFIG, negatives=negatives, loop=loop))
    assert len(positions(user, item)) * 4 == 20
    assert history.train_loss[-1] == pytest.approx(GOLDEN[negatives], rel=1e-3)


def test_the_loss_is_that_of_real_positions_alone():
    net = NextItemNetwork(CONFIG, V).eval()
    loss = make_loss(replace(CONFIG, negatives=0), draw_shares(np.arange(2, V), V, power=0.0), CPU)
    history = histories(rows=2, steps=4)
    target = history.roll(-1, dims=1)
    short = PositionBatch(history, target, torch.tensor([0, 1]), torch.tensor([]))
    other = target.clone()
    other[0, 2:], other[1] = 5, 6
    again = PositionBatch(history, other, torch.tensor([0, 1]), torch.tensor([]))
    assert loss(net, short).item() == loss(net, again).item()


def test_negatives_are_drawn_by_the_power_of_an_items_count():
    item = np.array([2, 2, 2, 2, 3])
    assert draw_shares(item, 5, power=1.0).tolist() == pytest.approx([0, 0, 8 / 11, 2 / 11, 1 / 11])
    assert draw_shares(item, 5, power=0.0).tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3])


def test_the_validation_it_is_given_stops_it(planted):
    told = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    users = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)

    def validate(scores):
        assert scores(users).shape == (80, 42)
        return next(told)

    loop = LoopConfig(epochs=5, patience=2)
    model = NextItemRetriever.fit(
        planted.before(planted.cutoff),
        planted.catalog,
        until=planted.cutoff,
        config=replace(CONFIG, loop=loop),
        context=FitContext(validate=validate),
    )
    assert (model.history.stopped, model.history.best_epoch) == ("early", 1)
