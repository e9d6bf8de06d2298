"""The feature store's stamp: which features it holds, of which day, in which version.

Written beside the online store after every materialization, read by the service at start and on
every refresh. It lets a bundle compare the store's schema with its manifest's without a registry.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from domain.errors import FeatureSchemaError, StaleFeaturesError
from domain.files import write_json


@dataclass(frozen=True)
class StoreStamp:
    """``features``: feature view → feature → dtype, as Feast spells it. ``version`` only grows."""

    features: Mapping[str, Mapping[str, str]]
    event_date: date
    version: int
    clock: str = "replay"

    @property
    def schema_hash(self) -> str:
        """sha256 of the features, independent of their order."""
        return schema_hash(self.features)


def schema_hash(features: Mapping[str, Mapping[str, str]]) -> str:
    """sha256 (hex) of a feature schema, independent of order."""
    return hashlib.sha256(json.dumps(features, sort_keys=True).encode()).hexdigest()


def write_stamp(path: Path, stamp: StoreStamp) -> None:
    """Write the stamp atomically."""
    write_json(path, asdict(stamp))


def read_stamp(path: Path) -> StoreStamp:
    """Read the stamp.

    Raises:
        StaleFeaturesError: If there is none: nothing was materialized yet.
    """
    if not path.exists():
        raise StaleFeaturesError(f"no feature store stamp at {path}: run vitrine materialize first")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["event_date"] = date.fromisoformat(content["event_date"])
    return StoreStamp(**content)


def require_same_features(
    wanted: Mapping[str, Mapping[str, str]], held: Mapping[str, Mapping[str, str]]
) -> None:
    """Refuse a store whose features are not the wanted ones; more views in the store are fine.

    Raises:
        FeatureSchemaError: Naming every feature that is missing, unexpected or of another type.
    """
    broken = [
        f"{view}.{name}: expected {features.get(name, 'nothing')}, "
        f"got {held.get(view, {}).get(name, 'nothing')}"
        for view, features in wanted.items()
        for name in sorted({*features, *held.get(view, {})})
        if features.get(name) != held.get(view, {}).get(name)
    ]
    if broken:
        raise FeatureSchemaError(
            "the store's features differ from the release's: " + "; ".join(broken)
        )
