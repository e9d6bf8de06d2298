"""Is it that the disk is full? Said in one sentence, whichever library ran into it.

pyarrow, DuckDB, SQLite, dbt and Great Expectations each say it in their own way, some only as text
inside another error. Everything of ours is written aside and renamed, so nothing that was whole is
lost: with room again, the same command goes on.
"""

import errno
from collections.abc import Iterator
from typing import Final

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WORDS: Final = (
    "No space left on device",
    "File too large",
    "Disk quota exceeded",
    "database or disk is full",
)
_UNSURE: Final = "disk I/O error"
"""SQLite's, when a file may not grow: it cannot tell that from a broken disk."""


def full_disk(error: BaseException) -> str | None:
    """One sentence if a full disk (or a limit on a file's size) is behind ``error``, else None.

    Example:
        >>> import errno
        >>> full_disk(OSError(errno.ENOSPC, "No space left on device", "part.parquet"))[:41]
        'the disk is full: part.parquet could not '
        >>> full_disk(ValueError("of no account"))
    """
    chain = list(_chain(error))
    if not any(_is_full(one) or _UNSURE in str(one) for one in chain):
        return None
    where = next((place for one in chain if (place := _where(one))), "a file")
    cause = "full" if any(_is_full(one) for one in chain) else "full, or broken"
    return (
        f"the disk is {cause}: {where} could not be written. What was there before is whole; make "
        "room and run the same command again"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = here.__cause__ or here.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    text = str(error)
    return any(words in text for words in _WORDS)


def _where(error: BaseException) -> str:
    """The file that was to be written: the innermost of ours that said so, or the error's own."""
    notes = getattr(error, "__notes__", ())
    if notes:
        return str(notes[0])
    return str(error.filename or "") if isinstance(error, OSError) else ""
