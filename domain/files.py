"""Write aside, then rename: readers see the old file or the new one, never half of either."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

_LEFTOVER: Final = re.compile(r"^\..+\.[0-9a-f]{32}\.(tmp|old)$")


@contextmanager
def file_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; what is still there afterwards is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield aside
    except OSError as error:
        error.add_note(str(path))  # A full disk names no file (domain.disk).
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it takes ``path``'s place.

    The content reaches the disk before the name does, so a crash leaves no empty file behind.
    """
    with file_aside(path) as aside:
        yield aside
        put(aside, path)


def put(aside: Path, path: Path) -> None:
    """Let a finished file of the same disk take ``path``'s place, in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    except OSError as error:
        error.add_note(str(path))
        raise


@contextmanager
def folder_aside(root: Path, name: str) -> Iterator[Path]:
    """An empty folder below ``root`` for work on the way; gone afterwards, swept after a kill."""
    aside = root / f".{name}.{uuid4().hex}.tmp"
    aside.mkdir(parents=True)
    try:
        yield aside
    except OSError as error:
        error.add_note(str(aside))
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` to fill; on success it takes ``path``'s place.

    A folder cannot be renamed over a full one, so the old one steps aside first: a reader may see
    no folder for an instant, never a half-written one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    old = path.with_name(f".{path.name}.{uuid4().hex}.old")
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            path.rename(old)
        aside.rename(path)
    except OSError as error:
        error.add_note(str(path))
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def leftovers(root: Path) -> list[Path]:
    """What a killed process left aside below ``root``: hidden ``.tmp`` and ``.old`` names."""
    return sorted(path for path in root.rglob(".*") if _LEFTOVER.match(path.name))


def sweep(root: Path) -> None:
    """Remove leftovers. Only for whoever holds the folder's lock: nobody else is writing."""
    for path in leftovers(root):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """Remove what a killed writer of one file left beside it. Only for its only writer."""
    for other in path.parent.glob(f".{path.name}.*"):
        if _LEFTOVER.match(other.name):
            other.unlink(missing_ok=True)


@contextmanager
def only_writer(folder: Path, *, lock: Path | None = None) -> Iterator[None]:
    """Be the one who writes below ``folder``; what a killed writer before us left is removed."""
    with exclusive(lock or folder / "writer.lock"):
        sweep(folder)
        yield


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write ``content`` to ``path`` atomically: sorted keys, two spaces, a final newline."""
    text = json.dumps(content, indent=2, sort_keys=True, default=str, allow_nan=False)
    with replacing_file(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Write a secret atomically; nobody but its owner can read it, not even for an instant."""
    with replacing_file(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")


def is_held(lock: Path) -> bool:
    """Whether some process holds the lock file right now."""
    if not lock.exists():
        return False
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``: waits for other processes; the kernel frees it after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
