from pathlib import Path

import pytest

from domain.files import replacing_file, replacing_folder, sweep_beside, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing_file(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path: Path):
    folder = tmp_path / "day"
    for name in ("first", "second"):
        with replacing_folder(folder) as aside:
            (aside / name).write_text(name)
    assert [p.name for p in folder.iterdir()] == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["day"]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path):
    folder = tmp_path / "day"
    with replacing_folder(folder) as aside:
        (aside / "kept").write_text("kept")
    with pytest.raises(RuntimeError), replacing_folder(folder) as aside:
        (aside / "half").write_text("half")
        raise RuntimeError
    assert [p.name for p in folder.iterdir()] == ["kept"]


def test_json_is_the_same_bytes_whatever_the_order(tmp_path: Path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_refuses_not_a_number(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_of_one_file_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    ours = tmp_path / f".note.json.{'a' * 32}.tmp"
    others = [tmp_path / f".other.json.{'a' * 32}.tmp", tmp_path / ".note.json.mine"]
    for file in (ours, *others):
        file.touch()

    sweep_beside(tmp_path / "note.json")

    assert sorted(tmp_path.iterdir()) == sorted(others)
