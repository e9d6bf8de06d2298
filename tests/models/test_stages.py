import pytest

from models.stages import Stages


def stages(folder, told=None):
    told = [] if told is None else told
    return Stages(folder, progress=lambda *a, **k: told.append((a, k)), total=2)


def test_a_finished_stage_is_not_done_again(tmp_path):
    done = []
    stages(tmp_path).run("fit", lambda: done.append(1))
    stages(tmp_path).run("fit", lambda: done.append(2))
    assert done == [1]


def test_a_stage_that_failed_is_done_again(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages(tmp_path).run("fit", fail)
    done = []
    stages(tmp_path).run("fit", lambda: done.append(1))
    assert done == [1]


def test_seconds_and_notes_outlive_the_process(tmp_path):
    first = stages(tmp_path)
    first.run("fit", lambda: {"rows": 3})
    first.run("judge", lambda: None)
    again = stages(tmp_path)
    assert again.notes() == {"fit": {"rows": 3}, "judge": {}}
    assert set(again.seconds()) == {"fit", "judge"}


def test_progress_counts_the_stages(tmp_path):
    told = []
    run = stages(tmp_path, told)
    run.run("fit", lambda: None)
    run.run("judge", lambda: None)
    assert [options["done"] for _, options in told] == [0, 1, 1, 2]
    assert all(options["total"] == 2 for _, options in told)
