import os
from datetime import date

import pytest

from domain.errors import BadInputError
from domain.files import write_json
from models.runs import find_run, read_run


def finished(runs, name, until, *, at):
    write_json(runs / name / "run.json", {"run": name, "until": until})
    os.utime(runs / name / "run.json", (at, at))


def test_the_run_that_was_finished_last_is_the_default(tmp_path):
    finished(tmp_path, "first", "2011-11-01", at=100)
    finished(tmp_path, "second", "2011-11-01", at=200)
    finished(tmp_path, "old", "2011-10-01", at=300)
    (tmp_path / "killed").mkdir()
    assert find_run(tmp_path, None).name == "old"
    assert find_run(tmp_path, "second").until == date(2011, 11, 1)


def test_a_run_with_hindsight_is_not_taken(tmp_path):
    finished(tmp_path, "early", "2011-10-01", at=100)
    finished(tmp_path, "late", "2011-11-01", at=200)
    assert find_run(tmp_path, None, known=date(2011, 11, 1)).name == "late"
    assert find_run(tmp_path, None, known=date(2011, 10, 31)).name == "early"
    with pytest.raises(BadInputError, match="hindsight"):
        find_run(tmp_path, "late", known=date(2011, 10, 31))
    with pytest.raises(BadInputError, match="before 2011-09-01"):
        find_run(tmp_path, None, known=date(2011, 9, 1))


def test_an_unfinished_run_is_refused_by_name(tmp_path):
    (tmp_path / "killed").mkdir()
    with pytest.raises(BadInputError, match="killed"):
        read_run(tmp_path / "killed")
    with pytest.raises(BadInputError, match="vitrine train"):
        find_run(tmp_path, None)
