import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.device import choose_device
from models.loop import DivergedError, LoopConfig, fit

CONFIG = LoopConfig(epochs=4, learning_rate=0.05, warmup_steps=2, patience=0, report_every_s=0.0)


class Rows:
    """Three batches of a line with noise; ``poison`` is the epoch whose target is NaN."""

    def __init__(self, poison: int = -1, stop_in: int = -1) -> None:
        self.poison, self.stop_in = poison, stop_in

    def __len__(self) -> int:
        return 3

    def epoch(self, number: int) -> Iterator[Tensor]:
        if number == self.stop_in:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(number)
        for _ in range(3):
            x = torch.randn(8, 1, generator=generator)
            y = 2 * x if number != self.poison else x * math.nan
            yield torch.cat([x, y], dim=1)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1))


def loss(model: nn.Module, rows: Tensor) -> Tensor:
    return ((model(rows[:, :1]) - rows[:, 1:]) ** 2).mean()


def weights(model: nn.Module) -> list[float]:
    return torch.cat([value.flatten() for value in model.state_dict().values()]).tolist()


def test_it_learns_and_tells_how_far_it_is():
    told = []
    history = fit(
        network(), Rows(), loss, config=CONFIG, progress=lambda *a, **k: told.append((a, k))
    )
    assert history.train_loss[-1] < history.train_loss[0]
    assert len(history.train_loss) == 4
    assert history.stopped == "finished"
    assert told[-1][1] == {"done": 12, "total": 12}
    assert any("rows/s" in arguments[1] and "s left" in arguments[1] for arguments, _ in told)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    whole, killed = network(), network()
    path = tmp_path / "state.safetensors"
    expected = fit(whole, Rows(), loss, config=CONFIG, validate=lambda m: weights(m)[0])
    with pytest.raises(KeyboardInterrupt):
        fit(
            killed,
            Rows(stop_in=2),
            loss,
            config=CONFIG,
            validate=lambda m: weights(m)[0],
            checkpoint=path,
        )
    resumed = network()
    history = fit(
        resumed, Rows(), loss, config=CONFIG, validate=lambda m: weights(m)[0], checkpoint=path
    )
    assert weights(resumed) == weights(whole)
    assert history.train_loss == expected.train_loss
    assert history.validation == expected.validation


def test_a_finished_checkpoint_is_not_trained_again(tmp_path):
    path = tmp_path / "state.safetensors"
    first, second = network(), network()
    fit(first, Rows(), loss, config=CONFIG, checkpoint=path)
    fit(second, Rows(stop_in=0), loss, config=CONFIG, checkpoint=path)
    assert weights(first) == weights(second)


@pytest.mark.parametrize("other", [{"fingerprint": "b"}, {"config": replace(CONFIG, epochs=5)}])
def test_a_checkpoint_of_another_run_is_ignored(tmp_path, other):
    path = tmp_path / "state.safetensors"
    fit(network(), Rows(), loss, config=CONFIG, checkpoint=path, fingerprint="a")
    arguments = {"config": CONFIG, "fingerprint": "a", **other}
    with pytest.raises(KeyboardInterrupt):
        fit(network(), Rows(stop_in=0), loss, checkpoint=path, **arguments)


def test_training_stops_when_the_loss_is_not_finite_and_keeps_the_last_good_weights(tmp_path):
    good, poisoned = network(), network()
    path = tmp_path / "state.safetensors"
    fit(good, Rows(), loss, config=replace(CONFIG, epochs=2))
    history = fit(poisoned, Rows(poison=2), loss, config=CONFIG, checkpoint=path)
    assert history.stopped == "not_finite"
    assert len(history.train_loss) == 2
    assert weights(poisoned) == weights(good)


def test_a_loss_that_is_never_finite_is_an_error():
    with pytest.raises(DivergedError, match="first epoch"):
        fit(network(), Rows(poison=0), loss, config=CONFIG)


def test_early_stopping_keeps_the_best_epoch():
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    stopped, best = network(), network()
    history = fit(
        stopped,
        Rows(),
        loss,
        config=replace(CONFIG, epochs=5, patience=2, final_rate_share=1.0),
        validate=lambda _: next(scores),
    )
    fit(best, Rows(), loss, config=replace(CONFIG, epochs=2))
    assert (history.stopped, history.best_epoch) == ("early", 1)
    assert weights(stopped) == weights(best)


def test_gradients_are_clipped():
    def steep(model: nn.Module, rows: Tensor) -> Tensor:
        return loss(model, rows) * 1e6

    model = network()
    fit(model, Rows(), steep, config=replace(CONFIG, epochs=1))
    assert max(map(abs, weights(model))) < 2.0


def test_the_device_is_chosen_with_a_reason(caplog):
    with caplog.at_level("INFO"):
        device = choose_device()
    assert device.reason in caplog.text
    assert device.device.type in ("cpu", "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_forward_pass_runs_in_bf16():
    device = choose_device()
    with device.autocast():
        product = torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")
    assert product.dtype == torch.bfloat16
