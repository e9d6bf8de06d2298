"""Which columns a file has, which it needs, and what to say when they do not fit."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import polars as pl

from domain.errors import BadInputError


def renamed(rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Columns under our names. ``names``: spelling without case and punctuation → our name.

    A column with another name keeps it, and so does a second one that would get a taken name.
    """
    mapping: dict[str, str] = {}
    for column in rows.columns:
        ours = names.get("".join(c for c in column.lower() if c.isalnum()))
        if ours and ours not in mapping.values() and not column.startswith("_"):
            mapping[column] = ours
    return rows.rename(mapping)


def require(
    names: Collection[str], path: Path, *, required: Collection[str], known: Collection[str]
) -> list[str]:
    """Refuse a file that lacks a required column or seems to misspell one.

    Args:
        names: The columns that the file has.
        path: The file.
        required: The columns it must have.
        known: The columns it may have.

    Returns:
        The columns nobody knows, which are left aside.

    Raises:
        BadInputError: Naming every missing and every misspelt column.
    """
    there = [name for name in names if not name.startswith("_")]
    missing = [name for name in required if name not in there]
    unknown = [name for name in there if name not in known]
    meant = {name: _meant(name, [k for k in known if k not in there]) for name in unknown}
    misspelt = [f"'{name}' (did you mean '{m}'?)" for name, m in meant.items() if m]
    if missing or misspelt:
        said = [f"missing {', '.join(map(repr, missing))}"] if missing else []
        plain = [repr(name) for name, m in meant.items() if not m]
        said += [f"unknown {', '.join(misspelt + plain)}"] if unknown else []
        raise BadInputError(
            f"{path}: wrong columns: {'; '.join(said)}; expected {', '.join(known)}"
            f" (required: {', '.join(required)})"
        )
    return unknown


def _meant(name: str, free: Collection[str]) -> str | None:
    close = get_close_matches(name.lower(), list(free), n=1, cutoff=0.8)
    return close[0] if close else None
