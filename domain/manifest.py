"""What a release is, in words and numbers: ``manifest.json`` in its folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from domain.errors import TamperedReleaseError
from domain.files import write_json
from domain.stamp import schema_hash

MANIFEST_NAME: Final = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """A release's facts. The same run gives the same manifest, byte for byte.

    Attributes:
        release_id: The run's name and the first digits of the judged files' hash.
        run: The training run the files come from.
        source: Whose shop it is.
        until: First moment training did not see.
        preset: How the models were trained.
        git_commit: The code that trained them; empty outside a checkout.
        data_hash: Of the training data.
        feature_services: The Feast services it asks for.
        features: Feature view → feature → dtype: what the store must hold.
        weights_hash: One hash for all judged files.
        metrics: What it was judged by, with intervals.
        champion: The release it beat; empty for a first release.
        verdict: Why it may go live, one sentence per task.
    """

    release_id: str
    run: str
    source: str
    until: date
    preset: str
    git_commit: str
    data_hash: str
    feature_services: tuple[str, ...]
    features: Mapping[str, Mapping[str, str]]
    weights_hash: str
    metrics: Mapping[str, object] = field(default_factory=dict)
    champion: str = ""
    verdict: tuple[str, ...] = ()

    @property
    def schema_hash(self) -> str:
        """The hash of the features it was built with."""
        return schema_hash(self.features)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into ``folder``, atomically."""
    content = {**asdict(manifest), "schema_hash": manifest.schema_hash}
    write_json(folder / MANIFEST_NAME, content)


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json``; check the folder's seal first.

    Raises:
        TamperedReleaseError: If it is missing, or its schema hash does not fit its features.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        raise TamperedReleaseError(f"{folder} is no release: {MANIFEST_NAME} is missing")
    content = json.loads(path.read_text(encoding="utf-8"))
    hashed = content.pop("schema_hash")
    manifest = Manifest(
        **{
            **content,
            "until": date.fromisoformat(content["until"]),
            "feature_services": tuple(content["feature_services"]),
            "verdict": tuple(content["verdict"]),
        }
    )
    if manifest.schema_hash != hashed:
        raise TamperedReleaseError(f"{path}: the schema hash does not fit its features")
    return manifest
