import pytest
import torch
from torch.nn import functional

from models import softmax
from models.softmax import full_softmax, sampled_softmax


def made(positions=23, items=60, width=8):
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(positions, width, generator=generator).requires_grad_()
    vectors = torch.randn(items, width, generator=generator).requires_grad_()
    target = torch.randint(0, items, (positions,), generator=generator)
    return states, vectors, target


@pytest.mark.parametrize("cells", [1, 600, 10**6])
def test_in_chunks_it_is_the_cross_entropy_and_so_are_its_gradients(monkeypatch, cells):
    monkeypatch.setattr(softmax, "CHUNK_CELLS", cells)
    states, vectors, target = made()
    expected = functional.cross_entropy(states @ vectors.T, target)
    found = full_softmax(states, vectors, target)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    ours = torch.autograd.grad(found * 3, (states, vectors))
    theirs = torch.autograd.grad(expected * 3, (states, vectors))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_large_logits_stay_finite():
    states, vectors, target = made()
    assert torch.isfinite(full_softmax(states * 1e3, vectors, target))


def sampled(states, vectors, target, drawn, log_q):
    return sampled_softmax(
        states,
        vectors[target],
        vectors[drawn],
        target_P=target,
        negative_N=drawn,
        log_q_V=log_q,
    )


def test_each_item_drawn_once_is_the_full_softmax():
    states, vectors, target = made()
    found = sampled(states, vectors, target, torch.arange(60), torch.zeros(60))
    assert found.item() == pytest.approx(full_softmax(states, vectors, target).item(), rel=1e-5)


def test_log_q_takes_the_bias_of_the_draw_away():
    states, vectors, target = made()
    # Items that are drawn often have longer vectors.
    vectors = vectors * torch.linspace(0.1, 1.5, 60)[:, None]
    share = torch.arange(1, 61).float() ** 2
    share /= share.sum()
    drawn = torch.multinomial(share, 50_000, replacement=True)
    log_q = torch.log(share * len(drawn))
    full = full_softmax(states, vectors, target).item()
    corrected = sampled(states, vectors, target, drawn, log_q).item()
    as_if_even = torch.log(torch.tensor(len(drawn) / 60)).expand(60)
    biased = sampled(states, vectors, target, drawn, as_if_even).item()
    assert corrected == pytest.approx(full, rel=0.02)
    assert abs(biased - full) > abs(corrected - full) * 5
