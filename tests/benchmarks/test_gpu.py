import pytest
import torch

from benchmarks import gpu


def test_without_a_gpu_it_says_so_and_measures_nothing(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(gpu, "keep", pytest.fail)
    gpu.main()
    assert capsys.readouterr().out == "gpu: there is none; not measured\n"


def test_the_shares_of_both_limits_are_those_of_a_step():
    way = {"targets_per_s": 1_000, "step_s": 0.010, "kernels": 200.0, "busy_s": 0.004}
    way |= {"first_epoch_s": 1.0, "memory_gib": 0.5}
    limits = {"launch_s": 5e-6, "replay_s": 1e-6, "flop_per_s": 1e14}
    case = {"set": "s", "shape": "w", "flop": 2e11, "eager": way, "compiled": way}
    result = {"where": "a GPU", "machine": {}, "limits": limits, "cases": [case]}
    rows = [line for line in gpu.table(result) if line.startswith("| s |")]
    assert len(rows) == 2
    assert "| 10.00 | 200 | 40% | 10% | 20.00% | 1.0 | 0.50 |" in rows[0]
