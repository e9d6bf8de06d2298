import pytest
import torch
import torch.distributed as dist

from domain.errors import BadInputError
from models import device
from models.device import (
    COMPILED_FROM_STEPS,
    Device,
    choose_device,
    given_cores,
    repeatable,
    training_threads,
)


def test_a_run_has_its_own_number_of_threads_and_gives_back_what_it_found():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with training_threads(3) as threads:
            assert threads == torch.get_num_threads() == 3
        with training_threads(0) as threads:
            assert threads == given_cores()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("was", [False, True])
def test_what_must_repeat_is_not_also_filled_and_everything_is_as_before_after_it(was):
    filling = torch.utils.deterministic
    torch.use_deterministic_algorithms(was)
    try:
        with repeatable(torch.device("cpu")):
            assert torch.are_deterministic_algorithms_enabled()
            # Whoever asked for all of it before keeps it.
            assert filling.fill_uninitialized_memory == was
        assert torch.are_deterministic_algorithms_enabled() == was
        assert filling.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture
def one_gpu(monkeypatch):
    """As a machine with one GPU answers; what was chosen is appended."""
    chosen = []
    answers = {"is_available": True, "is_bf16_supported": True, "device_count": 1}
    answers |= {"get_device_name": "a GPU", "current_device": 0}
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    was = torch.backends.cuda.cudnn_sdp_enabled()
    yield chosen
    torch.backends.cuda.enable_cudnn_sdp(was)


def test_attention_that_is_planned_for_each_shape_is_turned_off(one_gpu):
    torch.backends.cuda.enable_cudnn_sdp(True)
    chosen = choose_device()
    assert (chosen.device.type, chosen.is_bf16, one_gpu) == ("cuda", True, [0])
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_each_process_of_torchrun_has_a_gpu_or_is_told_that_there_is_none(one_gpu, monkeypatch):
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    for number in (0, 1):
        monkeypatch.setattr(
            dist, "get_node_local_rank", lambda fallback_rank, number=number: number
        )
        if number:
            with pytest.raises(BadInputError, match="process 2 of torchrun has no GPU"):
                choose_device()
        else:
            choose_device()
    assert one_gpu == [0]


def test_only_a_training_that_is_long_enough_is_compiled(monkeypatch):
    monkeypatch.setattr(device, "compiled_or_eager", lambda call: "compiled")
    for kind, steps, is_compiled in (
        ("cuda", COMPILED_FROM_STEPS, True),
        ("cuda", COMPILED_FROM_STEPS - 1, False),
        ("cpu", COMPILED_FROM_STEPS, False),
    ):
        called = Device(torch.device(kind), False, "").compiled(len, steps=steps)
        assert (called == "compiled") == is_compiled
