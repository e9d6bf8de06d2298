"""Write aside, then rename: readers see the old file or the new one, never half of either."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it takes ``path``'s place.

    The content reaches the disk before the name does, so a crash leaves no empty file behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


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
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


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
