import numpy as np
import pytest
import torch

from models.losses import soft_cross_entropy
from models.retrieval.config import SequenceConfig
from models.retrieval.network import SequenceNetwork

CONFIG = SequenceConfig(width=16, blocks=2, heads=2, dropout=0.0)
V = 30


@pytest.fixture
def network():
    torch.manual_seed(0)
    net = SequenceNetwork(CONFIG, V, torch.randn(V, 8))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


def inputs(rows=6, steps=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    history = torch.randint(2, V, (rows, steps), generator=generator)
    for row in range(rows):
        history[row, : 2 * row] = 0
    bought = (torch.rand(rows, V, generator=generator) > 0.7).float()
    return history, bought, torch.randn(1, 2, V, generator=generator)


def test_logits_have_the_shape_of_users_by_catalog_or_by_columns(network):
    history, bought, prior = inputs()
    assert network(history, bought, prior).shape == (6, V)
    columns = torch.tensor([4, 9])
    assert network(history, bought, prior, columns).shape == (6, 2)


def test_columns_are_the_same_logits(network):
    history, bought, prior = inputs()
    columns = torch.tensor([4, 9, 20])
    whole = network(history, bought, prior)[:, columns]
    assert torch.allclose(network(history, bought, prior, columns), whole, atol=1e-5)


def test_left_padding_never_changes_a_logit(network):
    history, bought, prior = inputs()
    padded = torch.cat([torch.zeros(6, 9, dtype=torch.long), history], dim=1)
    assert torch.allclose(
        network(padded, bought, prior), network(history, bought, prior), atol=1e-5
    )


def test_a_rows_company_never_changes_its_logits(network):
    history, bought, prior = inputs()
    alone = network(history[5:], bought[5:], prior)
    assert torch.allclose(alone, network(history, bought, prior)[5:], atol=1e-5)


def test_the_order_of_the_history_matters(network):
    history, bought, prior = inputs(rows=1)
    turned = history.flip(1)
    assert not torch.allclose(
        network(turned, bought, prior), network(history, bought, prior), atol=1e-3
    )


def test_an_empty_history_has_an_answer(network):
    nothing = torch.zeros(2, 12, dtype=torch.long)
    logits = network(nothing, torch.zeros(2, V), inputs()[2])
    assert torch.isfinite(logits).all()


def test_baked_it_needs_no_text_and_answers_the_same(network):
    history, bought, prior = inputs()
    before = network(history, bought, prior)
    network.items.bake()
    assert "items.text.weight" not in network.state_dict()
    assert torch.allclose(network(history, bought, prior), before, atol=1e-5)
    bare = SequenceNetwork(CONFIG, V)
    bare.load_state_dict(network.state_dict())
    assert torch.allclose(bare.eval()(history, bought, prior), before, atol=1e-5)


def test_it_overfits_one_tiny_batch():
    torch.manual_seed(0)
    net = SequenceNetwork(CONFIG, V, torch.randn(V, 8))
    history, _, _ = inputs()
    nothing, flat = torch.zeros(6, V), torch.zeros(1, 2, V)
    wanted = torch.eye(V)[torch.tensor([3, 8, 11, 17, 23, 29])]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        loss = soft_cross_entropy(net(history, nothing, flat), wanted)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_twenty_seeded_steps_reach_the_golden_loss():
    """A change of this number is a change of the model: say so in docs/log.md."""
    torch.manual_seed(7)
    net = SequenceNetwork(CONFIG, V, torch.from_numpy(np.eye(V, 8, dtype=np.float32)))
    history, bought, prior = inputs(seed=7)
    wanted = torch.eye(V)[torch.arange(2, 8)]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
    for _ in range(20):
        optimizer.zero_grad()
        loss = soft_cross_entropy(net(history, bought, prior), wanted)
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(1.983916, rel=1e-3)
