import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.device import choose_device, compiled_or_eager
from models.loop import DivergedError, LoopConfig, fit
from models.ranks import share

CONFIG = LoopConfig(
    epochs=4,
    learning_rate=0.05,
    warmup_steps=2,
    patience=0,
    report_every_s=0.0,
    checkpoint_every_s=0.0,
)


@dataclass(frozen=True)
class Line:
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def share(self, number: int, of: int) -> "Line":
        return Line(self.rows[share(len(self), number, of)])


class Rows:
    """Three batches of a line with noise; ``poison`` is the epoch whose target is NaN."""

    def __init__(self, poison: int = -1, stop_in: int = -1) -> None:
        self.poison, self.stop_in = poison, stop_in

    def __len__(self) -> int:
        return 3

    def epoch(self, number: int) -> Iterator[Line]:
        if number == self.stop_in:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(number)
        for _ in range(3):
            x = torch.randn(8, 1, generator=generator)
            y = 2 * x if number != self.poison else x * math.nan
            yield Line(torch.cat([x, y], dim=1))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1))


def loss(model: nn.Module, line: Line) -> Tensor:
    return ((model(line.rows[:, :1]) - line.rows[:, 1:]) ** 2).mean()


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


def test_validation_every_few_epochs_and_at_the_end():
    seen = []
    history = fit(
        network(),
        Rows(),
        loss,
        config=replace(CONFIG, epochs=5, validate_every=3),
        validate=lambda _: seen.append(1) or len(seen),
    )
    assert history.validation == (1.0, 2.0)
    assert history.best_epoch == 4


def test_who_watches_is_shown_the_model_and_changes_nothing():
    config = replace(CONFIG, epochs=5, validate_every=2)
    alone, watched, seen = network(), network(), []
    fit(alone, Rows(), loss, config=config)

    def watch(model: nn.Module) -> None:
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append(weights(model))

    history = fit(watched, Rows(), loss, config=config, watch=watch)
    assert weights(watched) == weights(alone) == seen[-1]
    assert len(seen) == 3  # After epochs 2, 4 and the last.
    assert (history.validation, history.best_epoch) == ((), 4)


def test_who_watches_may_end_it():
    def watch(model: nn.Module) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), Rows(stop_in=1), loss, config=CONFIG, watch=watch)


def narrow(width: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))


def test_a_batch_that_does_not_fit_is_taken_in_parts_with_the_same_result(caplog):
    biggest = []

    def hungry(model: nn.Module, line: Line) -> Tensor:
        if len(line) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        biggest.append(len(line))
        return loss(model, line)

    whole, parts = narrow(4), narrow(4)
    expected = fit(whole, Rows(), loss, config=CONFIG)
    history = fit(parts, Rows(), hungry, config=CONFIG)
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    assert weights(parts) == pytest.approx(weights(whole), rel=1e-4)
    assert max(biggest) == 2
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [warning.split(" is taken")[1] for warning in warnings] == [
        " in 2 parts from now",
        " in 4 parts from now",
    ]


def test_what_never_fits_is_an_error():
    def endless(model: nn.Module, line: Line) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        fit(network(), Rows(), endless, config=CONFIG)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_does_not_compile_runs_as_it_is_written(caplog):
    calls = []

    def strange(x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            raise torch._dynamo.exc.Unsupported("no such thing")
        calls.append(1)
        return x + 1

    called = compiled_or_eager(strange)
    assert called(torch.zeros(1)) == called(torch.zeros(1)) == 1
    assert len(calls) == 2


TORCHRUN = """
import json, sys, torch
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_loop import CONFIG, Rows, fit, loss, narrow
torch.set_num_threads(1)
model = narrow(4)
history = fit(model, Rows(), loss, config=CONFIG, checkpoint=Path({folder!r}) / "state.safetensors")
import os
rank = os.environ.get("RANK", "alone")
flat = torch.cat([value.flatten() for value in model.state_dict().values()])
Path({folder!r}, f"{{rank}}.json").write_text(json.dumps([history.train_loss, flat.tolist()]))
"""


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(tmp_path, monkeypatch):
    import json

    script = tmp_path / "script.py"
    here = Path(__file__)
    script.write_text(
        TORCHRUN.format(tests=str(here.parent), root=str(here.parents[2]), folder=str(tmp_path))
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    subprocess.run([*torchrun, "--nproc-per-node=2", script], check=True, capture_output=True)
    (tmp_path / "state.safetensors").unlink()
    subprocess.run([sys.executable, script], check=True, capture_output=True)
    first, second, alone = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("0", "1", "alone")
    )
    assert first == second
    assert first[0] == pytest.approx(alone[0], rel=1e-5)
    assert first[1] == pytest.approx(alone[1], rel=1e-4)


def test_gradients_are_clipped():
    def steep(model: nn.Module, rows: Line) -> Tensor:
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
