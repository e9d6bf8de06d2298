"""Real recurrences and real convolutions: what each state knows of, and what it does not."""

import pytest
import torch

from models.retrieval.behaviour import ConvolutionNetwork, GruNetwork
from models.retrieval.config import ConvolutionConfig, GruConfig

CONVOLUTION = ConvolutionConfig(width=8, blocks=2, dropout=0.0)
GRU = GruConfig(width=8, dropout=0.0)


def known_by_the_last_state(network, steps=12):
    """Which items move the state after the last one."""
    torch.manual_seed(1)
    tokens = torch.randn(1, steps, 8, requires_grad=True)
    network.eval()(tokens)[0, -1].sum().backward()
    return (tokens.grad[0].abs().sum(dim=1) > 1e-9).tolist()


def known_by_an_early_state(network, at=4, steps=12):
    torch.manual_seed(1)
    tokens = torch.randn(1, steps, 8, requires_grad=True)
    network.eval()(tokens)[0, at].sum().backward()
    return (tokens.grad[0].abs().sum(dim=1) > 1e-9).tolist()


@pytest.fixture(params=[GruNetwork, ConvolutionNetwork])
def network(request):
    config = GRU if request.param is GruNetwork else CONVOLUTION
    net = request.param(config, 20)
    # A sum over a normed state is flat; make it a weighted one.
    with torch.no_grad():
        net.norm.weight.copy_(torch.arange(1.0, 9.0))
    return net


def test_what_comes_later_never_changes_a_state(network):
    assert not any(known_by_an_early_state(network)[5:])


def test_a_recurrence_knows_the_whole_history(network):
    if isinstance(network, GruNetwork):
        assert all(known_by_the_last_state(network))


def test_convolutions_know_just_as_far_back_as_they_reach(network):
    if isinstance(network, ConvolutionNetwork):
        assert network.reach == 7
        assert known_by_the_last_state(network) == [False] * 5 + [True] * 7


def test_the_ablations_know_their_own_item_alone():
    for net in (
        GruNetwork(GruConfig(width=8, dropout=0.0, is_recurrent=False), 20),
        ConvolutionNetwork(ConvolutionConfig(width=8, blocks=2, dropout=0.0, kernel=1), 20),
    ):
        with torch.no_grad():
            net.norm.weight.copy_(torch.arange(1.0, 9.0))
        assert known_by_the_last_state(net) == [False] * 11 + [True]
