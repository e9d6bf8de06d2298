"""Training texts as people might have typed them instead: shorter, swapped, misspelt.

Source: EDA (Wei and Zou 2019, https://arxiv.org/abs/1901.11196) for dropped and swapped words, and
misspellings as in Pruthi et al. 2019 (https://arxiv.org/abs/1905.11268). What differs: no synonyms
and no translation, which need other people's models; words with a digit are never misspelt, for in
a shop they are measures and part numbers. Labels are handed on as they are.
"""

import math
import random
from dataclasses import dataclass, field, replace
from typing import Final

from models.language.judged import JudgedList

MIN_LETTERS: Final = 4
"""Shorter words are not misspelt: too little would be left to know them by."""
CROP_SHARE: Final = 0.6
"""A crop keeps at least this share of the words."""

_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbors() -> dict[str, str]:
    """Each letter's neighbors on a US keyboard: beside it, and in the rows above and below."""
    places = {
        letter: (row, column + row * 0.5)
        for row, letters in enumerate(_ROWS)
        for column, letter in enumerate(letters)
    }
    return {
        letter: "".join(
            other
            for other, (row, column) in places.items()
            if other != letter and abs(row - at[0]) <= 1 and abs(column - at[1]) <= 1
        )
        for letter, at in places.items()
    }


NEIGHBORS: Final = _neighbors()


@dataclass(frozen=True)
class TextNoise:
    """How often what is done to a text; all in [0, 1].

    Attributes:
        crop: That a text loses words at its beginning or end.
        dropout: That a word is left out.
        swap: That two neighboring words change places, once a text.
        typo: That a word is misspelt.

    Raises:
        ValueError: If one is outside of [0, 1].
    """

    crop: float = 0.0
    dropout: float = 0.0
    swap: float = 0.0
    typo: float = 0.0

    def __post_init__(self) -> None:
        wrong = {name: rate for name, rate in vars(self).items() if not 0 <= rate <= 1}
        if wrong:
            raise ValueError(f"rates of noise must lie in [0, 1], got {wrong}")


@dataclass(frozen=True)
class Augmentation:
    """Noise of the two sides, and the share of lists and of item texts that it touches at all."""

    query: TextNoise = field(default_factory=lambda: TextNoise(0.1, 0.05, 0.2, 0.1))
    item: TextNoise = field(default_factory=lambda: TextNoise(0.3, 0.1, 0.1, 0.02))
    share: float = 0.5


def augmented(
    judged: JudgedList, *, augmentation: Augmentation, generator: random.Random
) -> JudgedList:
    """The list with other words for its query and items, and the same labels in the same order."""

    def maybe(text: str, noise: TextNoise) -> str:
        is_touched = generator.random() < augmentation.share
        return noised(text, noise, generator=generator) if is_touched else text

    return replace(
        judged,
        query_text=maybe(judged.query_text, augmentation.query),
        item_texts=tuple(maybe(text, augmentation.item) for text in judged.item_texts),
    )


def noised(text: str, noise: TextNoise, *, generator: random.Random) -> str:
    """The text with noise; a text with a word keeps at least one, a blank one stays as it is.

    Example:
        >>> noised("angle  bracket", TextNoise(swap=1.0), generator=random.Random(0))
        'bracket angle'
    """
    words = text.split()
    if not words:
        return text
    if generator.random() < noise.crop:
        words = _cropped(words, generator)
    words = _thinned(words, noise.dropout, generator)
    if len(words) > 1 and generator.random() < noise.swap:
        at = generator.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(
        misspelt(word, generator=generator) if generator.random() < noise.typo else word
        for word in words
    )


def misspelt(word: str, *, generator: random.Random) -> str:
    """One slip of the fingers: a key beside the right one, a letter left out, doubled or swapped.

    A short word and one that is not letters alone stay as they are. The first letter stays.

    Example:
        >>> [misspelt(word, generator=random.Random(1)) for word in ("lantern", "3/4-in.", "red")]
        ['latnern', '3/4-in.', 'red']
    """
    if len(word) < MIN_LETTERS or not word.isalpha():
        return word
    at = generator.randrange(1, len(word) - 1)
    here, after = word[at], word[at + 1]
    slips = [
        word[:at] + word[at + 1 :],
        word[:at] + here + word[at:],
        word[:at] + after + here + word[at + 2 :],
    ]
    beside = NEIGHBORS.get(here.lower(), "")
    if beside:
        key = generator.choice(beside)
        slips.append(word[:at] + (key.upper() if here.isupper() else key) + word[at + 1 :])
    return generator.choice(slips)


def _cropped(words: list[str], generator: random.Random) -> list[str]:
    kept = generator.randint(math.ceil(CROP_SHARE * len(words)), len(words))
    begin = generator.randint(0, len(words) - kept)
    return words[begin : begin + kept]


def _thinned(words: list[str], rate: float, generator: random.Random) -> list[str]:
    kept = [word for word in words if generator.random() >= rate]
    return kept or [generator.choice(words)]
