"""Unicode's two spellings of one text: é is one sign (composed, NFC) or two (decomposed, NFD).

They look the same and are not equal. In an id that makes twins of one user or item, so a row with
a decomposed id is set aside; any other text is composed when it is typed.
"""

from typing import Final

import polars as pl

_IDS_OF_OTHER_NAMES: Final = ("invoice_no", "stock_code")


def is_id(name: str) -> bool:
    """Whether a column names something that other rows name too."""
    return name.endswith("_id") or name in _IDS_OF_OTHER_NAMES


def composed(texts: pl.Series) -> pl.Series:
    """The column in NFC. Text of plain ASCII, which most is, is not looked at twice."""
    return texts.str.normalize("NFC") if _has_accents(texts) else texts


def is_decomposed(texts: pl.Series) -> pl.Series:
    """Which texts are not in NFC; null for null."""
    if not _has_accents(texts):
        return pl.repeat(False, len(texts), eager=True)
    return texts != texts.str.normalize("NFC")


def _has_accents(texts: pl.Series) -> bool:
    return bool((texts.str.len_bytes() != texts.str.len_chars()).any())
