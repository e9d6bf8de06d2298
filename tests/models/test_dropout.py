import pytest
import torch

from models.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_about_the_share_is_dropped_and_the_mean_stays(share: float):
    torch.manual_seed(1)
    x = torch.ones(400, 257)
    left = dropout(x, share, training=True)
    rounded = round(share * 256) / 256
    assert float((left == 0).float().mean()) == pytest.approx(rounded, abs=0.005)
    assert float(left.mean()) == pytest.approx(1.0, abs=0.02)
    assert left.max() == pytest.approx(1.0 / (1.0 - rounded))


def test_neighbours_are_dropped_independently():
    torch.manual_seed(1)
    is_kept = dropout(torch.ones(100_000), 0.5, training=True) > 0
    together = (is_kept[1:] & is_kept[:-1]).float().mean()
    eight_apart = (is_kept[8:] & is_kept[:-8]).float().mean()
    assert float(together) == pytest.approx(0.25, abs=0.01)
    assert float(eight_apart) == pytest.approx(0.25, abs=0.01)


def test_the_same_seed_drops_the_same():
    x = torch.randn(7, 11)
    torch.manual_seed(3)
    first = dropout(x, 0.3, training=True)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(x, 0.3, training=True))
    assert not torch.equal(first, dropout(x, 0.3, training=True))


@pytest.mark.parametrize(("share", "training"), [(0.5, False), (0.0, True)])
def test_without_training_or_share_nothing_is_dropped(share: float, training: bool):
    x = torch.randn(5, 3)
    assert torch.equal(dropout(x, share, training), x)


def test_the_gradient_goes_through_what_was_kept():
    torch.manual_seed(5)
    x = torch.randn(64, requires_grad=True)
    left = dropout(x, 0.25, training=True)
    left.sum().backward()
    assert torch.equal(x.grad == 0, left == 0)
    assert x.grad.max() == pytest.approx(256 / 192)


def test_a_scalar_and_nothing_have_their_shapes():
    assert dropout(torch.ones(()), 0.5, training=True).shape == ()
    assert dropout(torch.ones(0, 4), 0.5, training=True).shape == (0, 4)
