import sys

import numpy as np
import pytest
import torch
from torch import nn

from models.artifacts import load_model, save_model
from models.int8 import packed_arrays, unpacked_arrays
from models.weights import arrays_of, put_arrays


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(40, 16, padding_idx=0)
        self.linear = nn.Linear(16, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, items):
        return self.norm(self.linear(self.table(items)))


@pytest.fixture
def network():
    torch.manual_seed(4)
    network = Network()
    with torch.no_grad():
        network.table.weight[10:20] = 0.0
    return network.eval()


def test_a_row_is_rounded_to_127_steps_of_its_largest_weight(network):
    packed = packed_arrays(network)
    row = network.linear.weight[3].detach().numpy()
    step = np.abs(row).max() / 127.5  # int8 reaches from -128 to 127
    assert packed["linear.weight.scale"][3] == pytest.approx(step, rel=1e-6)
    expected = np.clip(np.round(row / step), -128, 127)
    np.testing.assert_array_equal(packed["linear.weight.int8"][3], expected)


def test_no_weight_moves_by_more_than_a_step(network):
    arrays, packed = arrays_of(network), packed_arrays(network)
    back = unpacked_arrays(packed)
    assert back.keys() == arrays.keys()
    for name in ("table.weight", "linear.weight"):
        step_R1 = np.abs(arrays[name]).max(axis=1, keepdims=True) / 127.5
        assert (np.abs(back[name] - arrays[name]) <= step_R1 * 1.001).all()
    for name in ("linear.bias", "norm.weight", "norm.bias"):
        np.testing.assert_array_equal(back[name], arrays[name])


def test_rows_of_zeros_are_left_out_and_come_back_as_zeros(network):
    packed = packed_arrays(network)
    # Padding is 0 too: 40 - 10 - 1.
    assert packed["table.weight.int8"].shape == (29, 16)
    assert packed["table.weight.scale"].shape == (29,)
    back = unpacked_arrays(packed)["table.weight"]
    assert (back[10:20] == 0).all() and (back[0] == 0).all()
    assert (back[20] != 0).any()


def test_what_is_read_from_disk_gives_the_same_outputs(network, tmp_path):
    packed = packed_arrays(network)
    save_model(tmp_path / "m", model="tiny", config={}, tensors=packed)
    read = load_model(tmp_path / "m", model="tiny").tensors
    wanted, got = Network().eval(), Network().eval()
    put_arrays(wanted, unpacked_arrays(packed))
    put_arrays(got, unpacked_arrays(read))
    items = torch.arange(40)
    torch.testing.assert_close(got(items), wanted(items), rtol=0, atol=0)
    torch.testing.assert_close(got(items), network(items), rtol=0.05, atol=0.05)


def test_the_products_are_those_of_torchao(network):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    theirs = nn.Linear(16, 8).eval()
    theirs.load_state_dict(network.linear.state_dict())
    quantize_(theirs, Int8WeightOnlyConfig(set_inductor_config=False))
    ours = Network().eval()
    put_arrays(ours, unpacked_arrays(packed_arrays(network)))
    x = torch.randn(5, 16)
    torch.testing.assert_close(ours.linear(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_the_network_itself_stays_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    packed_arrays(network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_reading_needs_no_torchao(network, monkeypatch):
    # It stands in the group `train` only: a bundle is served without it.
    packed = packed_arrays(network)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchao"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert set(unpacked_arrays(packed)) == set(arrays_of(network))
    with pytest.raises(ImportError):
        packed_arrays(network)


def test_plain_arrays_pass(network):
    arrays = arrays_of(network)
    assert unpacked_arrays(arrays) == arrays


def test_a_file_without_its_scales_is_refused(network):
    packed = packed_arrays(network)
    del packed["linear.weight.scale"]
    with pytest.raises(ValueError, match=r"linear.weight .* linear.weight.scale is missing"):
        unpacked_arrays(packed)


def test_a_file_with_too_few_rows_is_refused(network):
    packed = packed_arrays(network)
    packed["table.weight.int8"] = packed["table.weight.int8"][:-1]
    with pytest.raises(ValueError, match="29 rows are kept, but 28 have values"):
        unpacked_arrays(packed)
