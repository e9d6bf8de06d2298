import torch

from models.device import given_cores, training_threads


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
