import math

import pytest
import torch

from models.losses import any_and_new_loss, sampled_columns, soft_cross_entropy


def test_the_loss_is_the_hand_worked_sum():
    # softmax of (log 1, log 2, log 5) is (1/8, 2/8, 5/8); wanted 1:3 on the last two
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))
    expected = -(0.25 * math.log(2 / 8) + 0.75 * math.log(5 / 8))
    loss = soft_cross_entropy(logits, torch.tensor([[0.0, 1.0, 3.0]]))
    assert loss.item() == pytest.approx(expected)


def test_items_that_are_no_candidates_make_no_nan():
    logits = torch.tensor([[0.0, -math.inf, 0.0]], requires_grad=True)
    loss = soft_cross_entropy(logits, torch.tensor([[1.0, 0.0, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert torch.isfinite(logits.grad).all()


def test_all_that_is_wanted_is_among_the_columns():
    torch.manual_seed(0)
    wanted = torch.zeros(2, 50)
    wanted[0, 7] = wanted[1, 49] = 1.0
    columns, log_q = sampled_columns(wanted, torch.full((50,), 0.02), negatives=5)
    assert {7, 49} <= set(columns.tolist())
    assert len(columns) <= 7
    assert columns.tolist() == sorted(set(columns.tolist()))
    # the chance to be among 5 draws of 50
    assert log_q[0].exp().item() == pytest.approx(1 - 0.98**5, rel=1e-3)


def test_log_q_makes_the_sampled_partition_unbiased():
    """The mean over many draws of Σ exp(logit − log q) is the full Σ exp(logit)."""
    torch.manual_seed(0)
    logits = torch.randn(40)
    share = torch.softmax(2 * torch.randn(40), dim=0)
    nothing = torch.zeros(1, 40)
    totals = []
    for _ in range(3_000):
        columns, log_q = sampled_columns(nothing, share, negatives=30)
        totals.append((logits[columns] - log_q).exp().sum().item())
    assert sum(totals) / len(totals) == pytest.approx(logits.exp().sum().item(), rel=0.05)


def test_the_second_half_of_the_loss_asks_about_what_was_never_bought():
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))
    wanted, bought = torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 0.7]])
    everything = -(0.5 * math.log(2 / 8) + 0.5 * math.log(5 / 8))
    loss = any_and_new_loss(logits, wanted, bought, new_weight=0.5)
    assert loss.item() == pytest.approx(everything - 0.5 * math.log(2 / 3))
    repeats_only = any_and_new_loss(logits, torch.tensor([[0.0, 0.0, 1.0]]), bought, new_weight=0.5)
    assert repeats_only.item() == pytest.approx(-math.log(5 / 8))
