"""A seal: the sha256 of every file of a folder, in the folder, checked before anything is parsed.

A release and the bundle made of it are sealed. Standard library only: this runs first. What a seal
proves is that nothing changed since sealing; who sealed it, the ledger says (it keeps the seal's
own hash).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from domain.errors import TamperedReleaseError
from domain.files import write_json

SEAL_NAME: Final = "seal.json"
_IGNORED_FOLDERS: Final = frozenset({"__pycache__"})


def seal(folder: Path) -> str:
    """Seal ``folder`` as it stands, replacing an older seal; returns the seal's own hash."""
    files = _hashes(folder)
    write_json(folder / SEAL_NAME, {"files": files, "seal": _hash_of(files)})
    return _hash_of(files)


def require_sealed(folder: Path) -> str:
    """Check every file of ``folder`` against its seal; returns the seal's own hash.

    Raises:
        TamperedReleaseError: If there is no seal, or a file was changed, added or taken away.
    """
    sealed = _read(folder)
    found = _hashes(folder)
    if found == sealed:
        return _hash_of(sealed)
    changed = sorted(name for name in found.keys() & sealed.keys() if found[name] != sealed[name])
    missing = sorted(sealed.keys() - found.keys())
    extra = sorted(found.keys() - sealed.keys())
    raise TamperedReleaseError(
        f"{folder} is not what was sealed: "
        + "; ".join(
            f"{what}: {', '.join(names[:5])}"
            for what, names in (("changed", changed), ("missing", missing), ("extra", extra))
            if names
        )
    )


def _read(folder: Path) -> dict[str, str]:
    path = folder / SEAL_NAME
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        files: dict[str, str] = content["files"]
        # Byte for byte: a blank that became a tab is a changed file too.
        is_written_by_us = text == json.dumps(content, indent=2, sort_keys=True) + "\n"
        is_whole = is_written_by_us and content["seal"] == _hash_of(files)
    except FileNotFoundError as error:
        raise TamperedReleaseError(f"{folder} has no seal: expected {SEAL_NAME}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedReleaseError(f"{path} cannot be read: {error}") from error
    if not is_whole:
        raise TamperedReleaseError(f"{path} was changed: its own hash does not fit its files")
    return files


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.name == SEAL_NAME and len(name.parts) == 1:
            continue
        if path.is_file() and not _IGNORED_FOLDERS & set(name.parts):
            with path.open("rb") as file:
                found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _hash_of(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
