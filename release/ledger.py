"""Who was live when, why, and who decided: append-only, one JSON object a line, hash-chained.

Every entry carries the hash of the one before it, so a line that was changed, dropped or inserted
later is found by whoever reads it.
"""

import getpass
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from domain.errors import TamperedReleaseError
from domain.files import exclusive, replacing_file

LEDGER_NAME: Final = "ledger.jsonl"


class Action(StrEnum):
    """What was decided."""

    RELEASED = "released"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class Entry:
    """One decision.

    Attributes:
        action: What was decided.
        release_id: The release that is live from now on; for ``refused`` the one that is not.
        run: The training run it comes from.
        why: One sentence.
        who: The account that ran the command.
        at: When, UTC, ISO.
        seal: The release folder's seal.
        bundle_sha256: Of the exported ``.bento`` file; empty for ``refused``.
        champion: What was live before.
        previous: The hash of the entry before; empty for the first.
        hash: sha256 of all of the above.
    """

    action: Action
    release_id: str
    run: str
    why: str
    at: str
    who: str = ""
    seal: str = ""
    bundle_sha256: str = ""
    champion: str = ""
    previous: str = ""
    hash: str = ""


def history(releases: Path) -> list[Entry]:
    """All entries, oldest first.

    Raises:
        TamperedReleaseError: If the chain is broken, naming the line.
    """
    path = releases / LEDGER_NAME
    if not path.exists():
        return []
    entries: list[Entry] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        entry = _parsed(line, path, number)
        previous = entries[-1].hash if entries else ""
        if entry.previous != previous or entry.hash != _hash(entry):
            raise TamperedReleaseError(f"{path}:{number}: the chain of hashes is broken here")
        entries.append(entry)
    return entries


def live(releases: Path) -> Entry | None:
    """The entry of the release that serves now; None before the first release."""
    serving = [entry for entry in history(releases) if entry.action != Action.REFUSED]
    return serving[-1] if serving else None


def released(releases: Path, release_id: str) -> Entry | None:
    """The entry that first made this release live, if it ever was."""
    return next(
        (
            entry
            for entry in history(releases)
            if entry.action == Action.RELEASED and entry.release_id == release_id
        ),
        None,
    )


def append(releases: Path, entry: Entry, *, now: datetime) -> Entry:
    """Add a decision; the same decision as the last one is not added twice.

    The file is written aside and renamed: a kill leaves the old ledger or the new one.
    """
    with exclusive(releases / f".{LEDGER_NAME}.lock"):
        entries = history(releases)
        if entries and _decision(entries[-1]) == _decision(entry):
            return entries[-1]
        previous = entries[-1].hash if entries else ""
        entry = replace(entry, previous=previous, at=now.isoformat(), who=getpass.getuser())
        entry = replace(entry, hash=_hash(entry))
        _write(releases / LEDGER_NAME, [*entries, entry])
    return entry


def _decision(entry: Entry) -> Entry:
    return replace(entry, at="", who="", previous="", hash="")


def _write(path: Path, entries: Sequence[Entry]) -> None:
    with replacing_file(path) as aside:
        lines = (json.dumps(asdict(entry), sort_keys=True) + "\n" for entry in entries)
        aside.write_text("".join(lines), encoding="utf-8")


def _parsed(line: str, path: Path, number: int) -> Entry:
    try:
        content = json.loads(line)
        return Entry(**{**content, "action": Action(content["action"])})
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedReleaseError(f"{path}:{number}: no ledger entry: {error}") from error


def _hash(entry: Entry) -> str:
    content = asdict(replace(entry, hash=""))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
