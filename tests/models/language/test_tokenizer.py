"""What a text becomes, and that it becomes the same everywhere."""

import json

import numpy as np
import pytest

from domain.errors import BadInputError
from models.language.tokenizer import (
    BEGIN,
    END,
    FIRST_WORD,
    MASK,
    SPECIAL,
    UNKNOWN,
    WordPieceTokenizer,
)


def ids(tokenizer, text, max_tokens=24):
    return tokenizer.encode([text], max_tokens=max_tokens).ids_N.tolist()


def test_the_same_texts_give_the_same_vocabulary_in_any_order(titles):
    # The library alone numbers characters in the order of a hash map, another one each time.
    learned = {
        WordPieceTokenizer.train(texts, vocabulary_size=120).hash
        for texts in (titles, titles[::-1], sorted(titles), titles)
    }
    assert len(learned) == 1
    assert WordPieceTokenizer.train(titles[:50], vocabulary_size=120).hash not in learned


def test_case_and_composition_do_not_matter_and_accents_do():
    tokenizer = WordPieceTokenizer.train(["café CAFE\u0301 cafe lámpara"] * 3, vocabulary_size=80)
    assert ids(tokenizer, "CAFE\u0301") == ids(tokenizer, "café") == ids(tokenizer, "CAFÉ")
    assert ids(tokenizer, "café") != ids(tokenizer, "cafe")
    assert tokenizer.normalized("L\u00c1MPARA\t1") == "lámpara 1"


def test_frequent_words_are_one_piece_and_rare_ones_several(tokenizer):
    assert tokenizer.pieces("steel lantern") == ["steel", "lantern"]
    pieces = tokenizer.pieces("lanternsteel")
    assert len(pieces) > 1
    assert "".join(piece.removeprefix("##") for piece in pieces) == "lanternsteel"
    assert all(piece.startswith("##") for piece in pieces[1:])
    assert len(tokenizer) <= 160


def test_a_pair_says_whose_each_token_is(tokenizer):
    rows = tokenizer.encode([("lantern", "steel lantern"), "hose"], max_tokens=24)
    assert rows.length_R.tolist() == [6, 3]
    pair, types = rows.ids_N[:6], rows.type_N[:6]
    assert types.tolist() == [0, 0, 0, 1, 1, 1]
    assert pair[[0, 2, 5]].tolist() == [BEGIN, END, END]
    assert pair[1] == pair[4] >= FIRST_WORD
    assert rows.type_N[6:].tolist() == [0, 0, 0]


def test_a_long_text_is_cut_and_the_query_is_not_lost(tokenizer):
    rows = tokenizer.encode([("lantern", "steel hose " * 40)], max_tokens=10)
    assert len(rows.ids_N) == 10
    assert rows.ids_N[1] == ids(tokenizer, "lantern")[1]
    assert rows.ids_N[-1] == END
    # Cutting is a matter of one call: the next one has its own length.
    assert len(tokenizer.encode(["steel hose " * 40], max_tokens=24).ids_N) == 24
    with pytest.raises(ValueError, match="at least 8, got 7"):
        tokenizer.encode(["steel"], max_tokens=7)


def test_a_special_token_that_somebody_types_is_plain_text(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    for each in (tokenizer, WordPieceTokenizer.load(tmp_path / "tokenizer.json")):
        for typed in SPECIAL:
            inside = ids(each, f"hose {typed} hose")[1:-1]
            assert not {0, BEGIN, END, MASK} & set(inside), typed


def test_what_it_never_saw_is_unknown_and_nothing_is_nothing(tokenizer):
    assert ids(tokenizer, "漢") == [BEGIN, UNKNOWN, END]
    assert ids(tokenizer, "") == ids(tokenizer, " \t") == [BEGIN, END]
    assert len(tokenizer.encode([], max_tokens=24)) == 0


def test_saved_and_loaded_it_is_the_same(tokenizer, titles, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = WordPieceTokenizer.load(path)
    assert loaded.hash == tokenizer.hash
    assert np.array_equal(
        loaded.encode(titles, max_tokens=24).ids_N, tokenizer.encode(titles, max_tokens=24).ids_N
    )
    vocabulary = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    assert [token for token, number in vocabulary.items() if number < FIRST_WORD] == list(SPECIAL)
    assert sorted(vocabulary.values()) == list(range(len(tokenizer)))


def test_what_is_no_tokenizer_of_ours_is_refused(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(BadInputError, match="is no tokenizer"):
        WordPieceTokenizer.load(path)
    path.write_text(tokenizer.to_json()[:-40])
    with pytest.raises(BadInputError, match="is no tokenizer"):
        WordPieceTokenizer.load(path)
    path.write_text(tokenizer.to_json().replace("[MASK]", "<mask>"))
    with pytest.raises(BadInputError, match="begins with the tokens"):
        WordPieceTokenizer.load(path)


@pytest.mark.parametrize(("texts", "most"), [([], 50), ([" ", ""], 50), (["abcdefgh"], 20)])
def test_a_vocabulary_that_cannot_be_is_an_error(texts, most):
    with pytest.raises(ValueError, match=f"a vocabulary of {most} does not hold"):
        WordPieceTokenizer.train(texts, vocabulary_size=most)
