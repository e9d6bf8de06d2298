import logging

import numpy as np
import pytest

from domain.errors import BadInputError
from models.text import Encoder

TEXTS = ["red metal lantern", "a", "", "white hanging heart t-light holder " * 40, "Lámpara roja"]


@pytest.fixture(scope="module")
def encoder():
    return Encoder()


def test_vectors_have_length_one_and_say_what_is_alike(encoder):
    vectors = encoder.encode(["red lantern", "scarlet lamp", "invoice for postage"])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_company_and_order_never_change_a_vector(encoder):
    together = encoder.encode(TEXTS)
    alone = np.stack([encoder.encode([text])[0] for text in reversed(TEXTS)])[::-1]
    assert np.allclose(together, alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_is_sentence_transformers_definition(encoder):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(encoder.folder), device="cpu").encode(TEXTS)
    assert np.allclose(encoder.encode(TEXTS), theirs, atol=1e-5)


def test_nothing_to_encode_is_nothing(encoder):
    assert encoder.encode([]).shape == (0, 384)


def test_only_new_texts_are_encoded_again(encoder, planted, tmp_path, monkeypatch, caplog):
    first = encoder.embed_catalog(planted.catalog, tmp_path)
    assert first.shape == (42, 384)
    assert not first[:2].any()

    def never(self, texts, *, progress=None):
        raise AssertionError(f"encoded again: {texts}")

    monkeypatch.setattr(Encoder, "encode", never)
    with caplog.at_level(logging.INFO):
        again = Encoder().embed_catalog(planted.catalog, tmp_path)
    assert "40 of 40 texts come from the cache" in caplog.text
    assert np.array_equal(first, again)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"config\.json is missing"):
        Encoder(tmp_path)
