"""What people type: words for something they want, sometimes misspelled, and what fits them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.catalog import ACCENTS, MATERIALS, NOUNS, Items
from simulator.randomness import Bools, Floats, Ints, Stream, Strings, gumbel_argmax, pick
from simulator.taste import want
from simulator.vocabulary import BRANDS
from simulator.world import Today

TARGET_SHARPNESS: Final = 1.5
MISSPELLED_SHARE: Final = 0.12
LETTERS: Final = "etaoinshrdlucmfpgwybvk"

_PATTERNS: Final = (
    # share, and which of brand, accent, material and noun are typed
    (0.28, (False, False, False, True)),
    (0.25, (False, False, True, True)),
    (0.17, (False, True, False, True)),
    (0.15, (True, False, False, True)),
    (0.10, (False, True, True, True)),
    (0.05, (True, False, False, False)),
)

LABELS: Final = ("irrelevant", "complement", "substitute", "exact")
"""By grade. Exact: everything typed is true of the item. Substitute: the right kind of thing,
something else wrong. Complement: the same category. Irrelevant: anything else."""

LABEL_LOGITS: Final = (-2.0, -0.7, 0.0, 0.6)
"""What a label adds to the want of who searched."""


@dataclass(frozen=True)
class Queries:
    """A day's typed searches, by query row. Codes as in ``Items``; -1 where nothing was typed.

    ``texts`` is what was typed, ``intended_texts`` what was meant, ``target`` the row of the item
    the user had in mind.
    """

    texts: Strings
    intended_texts: Strings
    user: Ints
    target: Ints
    category: Ints
    noun: Ints
    material: Ints
    accent: Ints
    brand: Ints

    @property
    def is_misspelled(self) -> Bools:
        """Which texts are not what was meant."""
        return np.asarray(self.texts != self.intended_texts, dtype=np.bool_)


def type_queries(today: Today, user_rows: Ints) -> Queries:
    """One typed search for each of ``user_rows``: each has an item of the day in mind, by taste."""
    rng = today.generator(Stream.SEARCHES)
    items = today.world.items
    wants = want(today, user_rows[:, None], today.available_items[None, :])
    target = today.available_items[gumbel_argmax(rng, TARGET_SHARPNESS * wants)]
    shares = np.array([share for share, _ in _PATTERNS])
    typed = np.array([parts for _, parts in _PATTERNS])[
        pick(rng, shares, count=len(target))
    ].reshape(-1, 4)
    brand, accent, material, noun = (
        np.where(typed[:, part], codes[target], -1)
        for part, codes in enumerate((items.brand, items.accent, items.material, items.noun))
    )
    intended = _texts(brand, accent, material, noun)
    return Queries(
        texts=_misspelled(rng, intended),
        intended_texts=intended,
        user=user_rows,
        target=target,
        category=items.category[target],
        noun=noun,
        material=material,
        accent=accent,
        brand=brand,
    )


def grades(queries: Queries, query_rows: Ints, items: Items, item_rows: Ints) -> Ints:
    """How well items fit queries: 0 to 3, the index into ``LABELS``. Rows broadcast."""

    def _fits(wanted: Ints, held: Ints) -> Bools:
        asked = wanted[query_rows]
        return np.asarray((asked < 0) | (asked == held[item_rows]))

    exact = (
        _fits(queries.noun, items.noun)
        & _fits(queries.material, items.material)
        & _fits(queries.accent, items.accent)
        & _fits(queries.brand, items.brand)
    )
    same_kind = queries.noun[query_rows] == items.noun[item_rows]
    same_category = queries.category[query_rows] == items.category[item_rows]
    return np.select([exact, same_kind, same_category], [3, 2, 1], default=0)


def relevance(queries: Queries, query_rows: Ints, items: Items, item_rows: Ints) -> Floats:
    """Logits that queries add to the want for items; 0 where a query row is -1. Rows broadcast."""
    if not len(queries.texts):
        return np.zeros(np.broadcast_shapes(query_rows.shape, item_rows.shape))
    graded = np.array(LABEL_LOGITS)[grades(queries, query_rows, items, item_rows)]
    return np.where(query_rows < 0, 0.0, graded)


def _texts(brand: Ints, accent: Ints, material: Ints, noun: Ints) -> Strings:
    words = (
        (BRANDS, brand),
        (ACCENTS, accent),
        (MATERIALS, material),
        (NOUNS, noun),
    )
    return np.array(
        [
            " ".join(names[codes[row]] for names, codes in words if codes[row] >= 0).lower()
            for row in range(len(noun))
        ],
        dtype=object,
    )


def _misspelled(rng: np.random.Generator, texts: Strings) -> Strings:
    slips = rng.random((len(texts), 4))
    return np.array(
        [
            misspell(text, place=place, kind=kind, letter=letter)
            if luck < MISSPELLED_SHARE
            else text
            for text, (luck, place, kind, letter) in zip(texts, slips.tolist(), strict=True)
        ],
        dtype=object,
    )


def misspell(text: str, *, place: float, kind: float, letter: float) -> str:
    """``text`` with one slip of the fingers in a word of it; the first letter stays.

    Args:
        text: At least two letters long.
        place: Which letter, from 0 (the second) to below 1 (the last).
        kind: In [0, 1): the letter is dropped (below 1/4), doubled (below 1/2), swapped with the
            next (below 3/4) or replaced. A slip that would change nothing drops it instead.
        letter: Which wrong letter, in [0, 1), from the most frequent to the rarest.

    Example:
        >>> misspell("linen apron", place=0.3, kind=0.1, letter=0.0)
        'linn apron'
    """
    places = [at for at in range(1, len(text)) if text[at].isalpha()]
    at = places[int(place * len(places))]
    before, after = text[:at], text[at + 1 :]
    slips = (
        before + after,
        before + text[at] * 2 + after,
        before + after[:1] + text[at] + after[1:],
        before + LETTERS[int(letter * len(LETTERS))] + after,
    )
    slip = slips[int(kind * len(slips))]
    return slip if slip != text else slips[0]
