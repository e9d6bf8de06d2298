from pathlib import Path

import pytest

from domain.errors import TamperedReleaseError
from domain.seal import require_sealed, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "weights.bin").write_bytes(bytes(range(256)))
    (tmp_path / "config.json").write_text("{}")
    seal(tmp_path)
    return tmp_path


def test_a_sealed_folder_passes_and_gives_the_hash_that_sealing_gave(folder: Path):
    assert require_sealed(folder) == seal(folder)


def test_every_single_flipped_byte_is_found_and_its_file_is_named(folder: Path):
    whole = (folder / "a" / "weights.bin").read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        (folder / "a" / "weights.bin").write_bytes(flipped)
        with pytest.raises(TamperedReleaseError, match=r"changed: a/weights.bin"):
            require_sealed(folder)


def test_an_added_and_a_missing_file_are_named(folder: Path):
    (folder / "config.json").rename(folder / "other.json")
    with pytest.raises(TamperedReleaseError, match=r"missing: config.json; extra: other.json"):
        require_sealed(folder)


def test_a_flipped_byte_in_the_seal_itself_is_found(folder: Path):
    path = folder / "seal.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] = ord("\t") if whole[at] == ord(" ") else whole[at] ^ 1
        path.write_bytes(flipped)
        with pytest.raises(TamperedReleaseError):
            require_sealed(folder)


def test_a_folder_without_a_seal_is_refused(tmp_path: Path):
    with pytest.raises(TamperedReleaseError, match="has no seal"):
        require_sealed(tmp_path)


def test_compiled_files_that_python_leaves_behind_do_not_break_a_seal(folder: Path):
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert require_sealed(folder)
