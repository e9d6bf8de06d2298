import numpy as np
import pytest

from domain.errors import BadInputError
from models.artifacts import file_hashes, folder_hash, load_model, save_model


def save(folder, value=1.0):
    save_model(
        folder, model="toy", config={"width": 2}, tensors={"w": np.full((2, 3), value, np.float32)}
    )


def test_a_saved_model_comes_back(tmp_path):
    save(tmp_path / "toy")
    artifact = load_model(tmp_path / "toy", model="toy")
    assert artifact.config == {"width": 2}
    assert artifact.tensors["w"].tolist() == [[1.0] * 3] * 2


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    save(tmp_path / "toy")
    with pytest.raises(ValueError, match="not finite"):
        save(tmp_path / "toy", value=np.nan)
    assert load_model(tmp_path / "toy", model="toy").tensors["w"][0, 0] == 1.0


def test_another_models_folder_is_refused(tmp_path):
    save(tmp_path / "toy")
    with pytest.raises(BadInputError, match="'toy'"):
        load_model(tmp_path / "toy", model="als")
    with pytest.raises(BadInputError, match="no model folder"):
        load_model(tmp_path, model="als")


def test_one_flipped_byte_changes_the_hash(tmp_path):
    save(tmp_path / "toy")
    before, names = folder_hash(tmp_path / "toy"), set(file_hashes(tmp_path / "toy"))
    assert names == {"config.json", "weights.safetensors"}
    path = tmp_path / "toy" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert folder_hash(tmp_path / "toy") != before


def test_saving_twice_gives_the_same_bytes(tmp_path):
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert file_hashes(tmp_path / "one") == file_hashes(tmp_path / "two")
