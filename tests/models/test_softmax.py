import pytest
import torch
from torch.nn import functional

from models import softmax
from models.softmax import full_softmax, product_type, sampled_softmax


def made(positions=23, items=60, width=8):
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(positions, width, generator=generator).requires_grad_()
    vectors = torch.randn(items, width, generator=generator).requires_grad_()
    target = torch.randint(0, items, (positions,), generator=generator)
    return states, vectors, target


def multiplying(monkeypatch, kind):
    """As a CPU that multiplies ``kind`` fastest."""
    able = {"avx512_bf16": kind == torch.bfloat16, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)


@pytest.fixture
def in_float32(monkeypatch):
    multiplying(monkeypatch, torch.float32)


def off(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize(
    ("kind", "loss_off", "gradient_off"),
    [(torch.float32, 1e-6, 1e-6), (torch.bfloat16, 1e-3, 4e-3)],
)
@pytest.mark.parametrize("size", [1, 3_000, 10**6])
def test_in_chunks_it_is_the_cross_entropy_and_so_are_its_gradients(
    monkeypatch, kind, loss_off, gradient_off, size
):
    multiplying(monkeypatch, kind)
    monkeypatch.setattr(softmax, "CHUNK_BYTES", size)
    states, vectors, target = made()
    expected = functional.cross_entropy(states @ vectors.T, target)
    found = full_softmax(states, vectors, target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=loss_off)
    ours = torch.autograd.grad(found * 3, (states, vectors))
    theirs = torch.autograd.grad(expected * 3, (states, vectors))
    for one, other in zip(ours, theirs, strict=True):
        assert off(one, other) < gradient_off


@pytest.mark.parametrize("able", ["avx512_bf16", "amx_bf16", ""])
def test_products_are_of_bfloat16_where_the_cpu_has_it(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {able: True})
    assert product_type() == (torch.bfloat16 if able else torch.float32)


def test_many_small_chunks_of_bfloat16_lose_nothing_small(monkeypatch):
    # Each part is a thousandth of the sum: added in bfloat16, most would not change it at all.
    multiplying(monkeypatch, torch.bfloat16)
    monkeypatch.setattr(softmax, "CHUNK_BYTES", 1)
    states, vectors, target = made(positions=1, width=4)
    states, target = states.repeat(2_000, 1), target.repeat(2_000)
    found = torch.autograd.grad(full_softmax(states, vectors, target), vectors)[0]
    loss = functional.cross_entropy(states @ vectors.T, target)
    assert off(found, torch.autograd.grad(loss, vectors)[0]) < 0.01


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_large_logits_stay_finite(monkeypatch, kind):
    multiplying(monkeypatch, kind)
    states, vectors, target = made()
    loss = full_softmax(states * 1e3, vectors, target)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (states, vectors)))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_state_that_is_no_number_gives_a_loss_that_is_none(monkeypatch, kind):
    multiplying(monkeypatch, kind)
    states, vectors, target = made()
    spoilt = states.detach().clone()
    spoilt[3, 2] = float("nan")
    assert torch.isnan(full_softmax(spoilt, vectors, target))


def sampled(states, vectors, target, drawn, log_q):
    return sampled_softmax(
        states,
        vectors[target],
        vectors[drawn],
        target_P=target,
        negative_N=drawn,
        log_q_V=log_q,
    )


def test_each_item_drawn_once_is_the_full_softmax(in_float32):
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
