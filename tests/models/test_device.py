import os

import torch

from models.device import cpu_threads, training_threads


def test_a_run_has_its_own_number_of_threads_and_gives_back_what_it_found(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with training_threads() as threads:
            assert threads == torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_threads_come_from_the_cores_we_were_given_when_nothing_is_asked(monkeypatch):
    for asked in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert cpu_threads() == len(os.sched_getaffinity(0))
