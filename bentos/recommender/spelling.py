"""Mend a misspelt word with the catalog's own vocabulary.

Candidates share a trigram; the nearest by edit distance (insert, delete, replace, swap neighbors)
wins, frequent words first. Only unknown words are touched: what the catalog says is never mended.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"\w+", re.UNICODE)
_MIN_LENGTH: Final = 4
_LOOKED_AT: Final = 200


def words_of(text: str) -> list[str]:
    """The words of a text, lower case.

    Example:
        >>> words_of("Red Glass-Holders, 3")
        ['red', 'glass', 'holders', '3']
    """
    return _WORD.findall(text.lower())


def stem(word: str) -> str:
    """The word without a plural's plain ``s``, so that one lantern finds all lanterns.

    Example:
        >>> [stem(word) for word in ("lanterns", "glass", "christmas", "its")]
        ['lantern', 'glass', 'christma', 'its']
    """
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word


def edit_distance(left: str, right: str, *, most: int) -> int:
    """Edits between two words, swapped neighbors counting one; ``most + 1`` if there are more.

    Source: optimal string alignment. *What differs:* it stops at the first row above ``most``.

    Example:
        >>> edit_distance("lanetrn", "lantern", most=2)
        1
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            best = min(last[column] + 1, current[-1] + 1, last[column - 1] + (a != b))
            is_swap = row > 1 and column > 1 and a == right[column - 2] and b == left[row - 2]
            current.append(min(best, before[column - 2] + 1) if is_swap else best)
        # A swap reaches back over one row: both must be beyond hope.
        if min(current) > most and min(last) > most:
            return most + 1
        before, last = last, current
    return last[-1] if last[-1] <= most else most + 1


class Speller:
    """The catalog's vocabulary, by trigram."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts = Counter(word for text in texts for word in words_of(text))
        self._stems = {stem(word) for word in self._counts}
        self._by_trigram: dict[str, list[str]] = defaultdict(list)
        for word in self._counts:
            for trigram in _trigrams(word):
                self._by_trigram[trigram].append(word)
        self._mend = lru_cache(maxsize=4096)(self._mend_word)

    def __contains__(self, word: str) -> bool:
        """Whether the catalog uses the word, in the singular or the plural."""
        return stem(word) in self._stems

    def correct(self, words: Sequence[str]) -> list[str]:
        """The words, the unknown ones replaced where something near is known."""
        return [self._mend(word) for word in words]

    def _mend_word(self, word: str) -> str:
        if word in self or len(word) < _MIN_LENGTH or word.isdigit():
            return word
        shared = Counter(
            known for trigram in _trigrams(word) for known in self._by_trigram.get(trigram, ())
        )
        most = 1 if len(word) < 6 else 2
        distances = [
            (edit_distance(word, known, most=most), -self._counts[known], known)
            for known, _ in shared.most_common(_LOOKED_AT)
        ]
        near = [
            found for found in distances if found[0] <= most and _is_likely_slip(word, found[2])
        ]
        return min(near)[2] if near else word


def _is_likely_slip(word: str, known: str) -> bool:
    """Short words that differ in a letter are two words (warm, farm), not one misspelt."""
    is_other_word = len(word) == len(known) and sorted(word) != sorted(known)
    return len(word) > _MIN_LENGTH or not is_other_word


def _trigrams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[at : at + 3] for at in range(len(padded) - 2)}
