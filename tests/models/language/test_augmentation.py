"""What may be done to a text, and what never."""

import random
from collections import Counter

import pytest

from models.language.augmentation import (
    NEIGHBORS,
    Augmentation,
    TextNoise,
    augmented,
    misspelt,
    noised,
)
from models.language.judged import JudgedList

EVERYTHING = TextNoise(crop=1.0, dropout=0.9, swap=1.0, typo=1.0)
TEXT = "outdoor steel lantern with glass 3/4 in."


def many(noise, text=TEXT, count=2_000):
    return [noised(text, noise, generator=random.Random(seed)) for seed in range(count)]


def test_the_same_seed_gives_the_same_text_and_another_another():
    assert many(EVERYTHING, count=50) == many(EVERYTHING, count=50)
    assert len(set(many(EVERYTHING, count=50))) > 10


@pytest.mark.parametrize("text", [TEXT, "a", "hose", "3/4", "é", "two words"])
def test_a_text_is_never_emptied(text):
    assert all(changed.strip() for changed in many(EVERYTHING, text=text))
    assert noised("  ", EVERYTHING, generator=random.Random(0)) == "  "


def test_no_noise_is_no_change_but_for_spaces():
    assert set(many(TextNoise(), count=20)) == {TEXT}


def test_words_are_dropped_as_often_as_asked():
    kept = sum(len(text.split()) for text in many(TextNoise(dropout=0.25)))
    assert kept / (2_000 * 7) == pytest.approx(0.75, abs=0.01)


def test_a_swap_changes_two_neighbors_and_nothing_else():
    for text in many(TextNoise(swap=1.0), count=200):
        moved = [at for at, word in enumerate(text.split()) if word != TEXT.split()[at]]
        assert Counter(text.split()) == Counter(TEXT.split())
        assert len(moved) == 2
        assert moved[1] - moved[0] == 1


def test_a_crop_is_a_piece_of_the_text_with_most_of_its_words():
    texts = set(many(TextNoise(crop=1.0)))
    assert all(text in TEXT for text in texts)
    assert {len(text.split()) for text in texts} == {5, 6, 7}  # at least .6 × 7 = 4.2


def test_a_typo_is_one_slip_and_never_touches_a_measure():
    slips = {misspelt("Lantern", generator=random.Random(seed)) for seed in range(500)}
    assert {len(slip) for slip in slips} == {6, 7, 8}
    assert all(slip.startswith("L") for slip in slips)
    beside = {slip for slip in slips if len(slip) == 7 and sorted(slip) != sorted("Lantern")}
    for slip in beside:
        (at,) = [at for at in range(7) if slip[at] != "Lantern"[at]]
        assert slip[at] in NEIGHBORS["Lantern"[at]]
    for word in ("3/4", "2x4x8", "in.", "red", "100ft"):
        assert misspelt(word, generator=random.Random(0)) == word


def test_keys_are_neighbors_of_each_other():
    assert set(NEIGHBORS["g"]) == set("tyfhvb")
    assert set(NEIGHBORS["q"]) == set("wa")
    assert all(here in NEIGHBORS[beside] for here in NEIGHBORS for beside in NEIGHBORS[here])


def test_labels_and_the_order_of_items_never_change(lists):
    noise = Augmentation(query=EVERYTHING, item=EVERYTHING, share=1.0)
    changed = 0
    for seed, each in enumerate(lists):
        other = augmented(each, augmentation=noise, generator=random.Random(seed))
        assert other.labels == each.labels
        assert len(other.item_texts) == len(each.item_texts)
        changed += other.query_text != each.query_text
    assert changed > 40


def test_the_share_says_how_many_texts_are_touched():
    noise = Augmentation(query=TextNoise(swap=1.0), item=TextNoise(swap=1.0), share=0.3)
    judged = JudgedList("a b", ("a b",) * 2_000, (1.0,) * 2_000)
    texts = augmented(judged, augmentation=noise, generator=random.Random(0)).item_texts
    assert texts.count("b a") / 2_000 == pytest.approx(0.3, abs=0.03)
    assert texts.count("a b") + texts.count("b a") == 2_000


def test_a_rate_outside_of_nought_to_one_is_an_error():
    with pytest.raises(ValueError, match=r"'typo': 1\.5"):
        TextNoise(typo=1.5)
