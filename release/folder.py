"""A release's folder: exactly the judged files, the feature registry, the manifest, the seal."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.dataset as ds

from domain.clock import midnight
from domain.errors import BadInputError, TamperedReleaseError
from domain.events import EventType
from domain.files import replacing_folder, write_json
from domain.manifest import Manifest, write_manifest
from domain.seal import require_sealed, seal
from domain.settings import Settings
from models.artifacts import file_hash, folder_hash
from models.runs import RunInfo

RUN: Final = "run"
REGISTRY: Final = "registry.db"
QUERIES: Final = "queries.json"
MIN_QUERY_USERS: Final = 3
"""A query that fewer people typed may say who they are; it is nobody's suggestion."""
MAX_QUERIES: Final = 5_000
_NOT_JUDGED: Final = ("evaluation", "checkpoints")


def judged_files(run: Path) -> list[Path]:
    """The files of a run that decide its answers, relative to it: all but reports and scratch."""
    files = (path.relative_to(run) for path in sorted(run.rglob("*")) if path.is_file())
    return [
        path
        for path in files
        if path.parts[0] not in _NOT_JUDGED and not any(part.startswith(".") for part in path.parts)
    ]


def judged_hash(run: Path) -> str:
    """One hash for all judged files of a run: the same as ``folder_hash`` of a copy of them."""
    names = {path.as_posix(): file_hash(run / path) for path in judged_files(run)}
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def release_id(run: RunInfo, weights_hash: str) -> str:
    """``<run>-<hash8>``, lower case, letters BentoML takes as a version."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in run.name.lower())
    return f"{kept}-{weights_hash[:8]}"


def make(
    folder: Path, run: RunInfo, *, manifest: Manifest, registry: Path, queries: Mapping[str, int]
) -> str:
    """Copy the judged files into ``folder``, add the manifest, seal it; returns the seal's hash.

    Raises:
        TamperedReleaseError: If the copy is not what was judged.
        BadInputError: If there is no feature registry.
    """
    if not registry.exists():
        raise BadInputError(f"no feature registry at {registry}: run vitrine materialize first")
    with replacing_folder(folder) as aside:
        for name in judged_files(run.folder):
            (aside / RUN / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.folder / name, aside / RUN / name)
        copied = folder_hash(aside / RUN)
        if copied != manifest.weights_hash:
            raise TamperedReleaseError(
                f"run {run.name} changed while it was judged: expected {manifest.weights_hash}, "
                f"got {copied}"
            )
        shutil.copyfile(registry, aside / REGISTRY)
        write_json(aside / QUERIES, queries)
        write_manifest(aside, manifest)
        seal(aside)
    return require_sealed(folder)


def known_queries(settings: Settings, *, until: date) -> dict[str, int]:
    """Typed query → how many users typed it before ``until``; none that few typed."""
    files = sorted(settings.marts.glob("events/event_date=*/part.parquet"))
    if not files:
        return {}
    events = ds.dataset(files, format="parquet")
    typed = events.to_table(
        columns=["query_text", "user_id"],
        filter=(pc.field("event_type") == EventType.SEARCH.value)
        & (pc.field("event_timestamp") < midnight(until)),
    )
    pairs = {
        (" ".join(text.casefold().split()), user)
        for text, user in zip(*(column.to_pylist() for column in typed.columns), strict=True)
        if text
    }
    counts = Counter(text for text, _ in pairs if text)
    common = counts.most_common(MAX_QUERIES)
    return {text: count for text, count in common if count >= MIN_QUERY_USERS}
