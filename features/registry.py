"""Feast's file registry, made safe: never cut, never empty, never one writer over the other.

Feast's own (0.67, each seen) is truncated and rewritten in place, so a kill or a full disk leaves a
cut or an empty one, which reads as an empty store; of two writers the second undoes the first.
Here:

* beside ``registry.db`` lies its last good copy, ``registry.<sha256>.good``: the name says what the
  content must be. The copy is written first, so at any moment one whole registry is on the disk;
* what is not the last good copy is damaged: it is replaced by the copy, and one line says so;
* without a copy a damaged registry is refused, unless somebody applies the definitions anew;
* a writer that finds another's changes keeps them (``features.registry_merge``).

A relative path in ``feature_store.yaml`` is below ``Settings().feast``: it cannot have a default.
"""

import hashlib
import logging
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from feast import FeatureStore
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import RegistryConfig
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from domain.errors import StaleFeaturesError
from domain.files import exclusive, replacing_file
from domain.settings import Settings
from features.registry_merge import merged

logger = logging.getLogger(__name__)

_SIGNS_OF_A_STORE: Final = ("online.db", "stamp.json")
"""Beside these a registry that is not there is lost, not yet to come."""


def below_home(path: str) -> str:
    """``path`` if absolute, else below the feature store's folder of this home."""
    return path if Path(path).is_absolute() else str(Settings().feast / path)


def whole_registry(path: Path) -> bytes:
    """The registry at ``path``; what is damaged is first replaced by the last good copy.

    Raises:
        StaleFeaturesError: If it is missing or damaged, and there is no good copy.
        FileNotFoundError: If there never was one.
    """
    content = _content(path)
    if content is not None and _copy(path, content).exists():
        return content
    with exclusive(_lock(path)):
        return _restored(path)


def give_up_damaged(path: Path) -> None:
    """Remove a registry that is damaged and has no good copy: the definitions are applied anew.

    Feature definitions are code (``feature_repo/``); only Feast's memory of past runs is lost.
    """
    try:
        whole_registry(path)
    except StaleFeaturesError as error:
        logger.warning("%s; it is written anew from feature_repo/", error)
        with exclusive(_lock(path)):
            _write(path, RegistryProto(registry_schema_version="1").SerializeToString())
    except FileNotFoundError:
        return


def require_views(store: FeatureStore, views: Collection[str]) -> None:
    """Refuse a registry that lacks a view: an empty or cut one reads as an empty store.

    Raises:
        StaleFeaturesError: Naming what is missing.
    """
    missing = sorted(set(views) - {view.name for view in store.list_feature_views()})
    if missing:
        where = store.config.registry.path
        raise StaleFeaturesError(
            f"the feature registry {where} lacks {', '.join(missing)}: run vitrine materialize"
        )


def is_registry(content: bytes) -> bool:
    """Whether this can be read as a registry with something in it; a cut one may be, too."""
    try:
        return len(RegistryProto.FromString(content).projects) > 0
    except DecodeError:
        return False


class HomeRegistryStore(FileRegistryStore):
    """Feast's registry file; see the module."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        config = registry_config.model_copy(update={"path": below_home(registry_config.path)})
        super().__init__(config, repo_path)
        self._read = RegistryProto()
        self._held = RegistryProto()  # What Feast holds and changes, since we handed it over.

    def get_registry_proto(self) -> RegistryProto:
        """Read it whole.

        Feast reads again in the middle of a change when the file has changed meanwhile, and forgets
        what it has not written yet: that is carried over.

        Raises:
            FileNotFoundError: If there never was one; Feast then makes an empty one.
            StaleFeaturesError: If it is damaged and there is no good copy.
        """
        standing = RegistryProto.FromString(whole_registry(self._filepath))
        before, self._read = self._read, standing
        is_others = before.version_id and standing.version_id != before.version_id
        unwritten = self._held if is_others else before
        self._held = merged(before, standing, unwritten)
        return self._held

    def _write_registry(self, registry_proto: RegistryProto) -> None:
        """Write what changed since it was read; ``registry_proto`` becomes what is written."""
        with exclusive(_lock(self._filepath)):
            try:
                standing = RegistryProto.FromString(_restored(self._filepath))
            except FileNotFoundError:
                standing = RegistryProto()
            if standing.version_id != self._read.version_id:
                registry_proto.CopyFrom(merged(self._read, standing, registry_proto))
            registry_proto.version_id = str(uuid.uuid4())
            registry_proto.last_updated.FromDatetime(datetime.now(UTC))
            _write(self._filepath, registry_proto.SerializeToString())
        self._read = RegistryProto.FromString(registry_proto.SerializeToString())
        self._held = registry_proto

    def teardown(self) -> None:
        """Remove the registry and its copies."""
        with exclusive(_lock(self._filepath)):
            for copy in _copies(self._filepath):
                copy.unlink()
            super().teardown()  # type: ignore[no-untyped-call]


def _restored(path: Path) -> bytes:
    """The registry, or its last good copy put in its place. For whoever holds the lock."""
    content = _content(path)
    if content is not None and _copy(path, content).exists():
        return content
    copies = _copies(path)
    for copy in copies:
        good = copy.read_bytes()
        if _copy(path, good) == copy:
            state = "missing" if content is None else "damaged"
            logger.warning(
                "the feature registry %s was %s (%d bytes): restored the last good copy, %d bytes",
                *(path, state, len(content or b""), len(good)),
            )
            _put(path, good)
            return good
    if content is None and not copies and not _has_store(path):
        raise FileNotFoundError(f"no feature registry at {path}")
    if content and not copies and is_registry(content):
        _put(_copy(path, content), content)  # Written before there were copies.
        return content
    state = "is missing" if content is None else f"is damaged ({len(content)} bytes)"
    raise StaleFeaturesError(f"the feature registry {path} {state} and there is no good copy of it")


def _write(path: Path, content: bytes) -> None:
    copy = _copy(path, content)
    _put(copy, content)
    _put(path, content)
    for older in _copies(path):
        if older != copy:
            older.unlink()


def _put(path: Path, content: bytes) -> None:
    with replacing_file(path) as aside:
        aside.write_bytes(content)
        if aside.read_bytes() != content:
            raise StaleFeaturesError(f"{path} could not be written whole; is the disk full?")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _has_store(path: Path) -> bool:
    return any(path.with_name(name).exists() for name in _SIGNS_OF_A_STORE)


def _copy(path: Path, content: bytes) -> Path:
    return path.with_name(f"{path.stem}.{hashlib.sha256(content).hexdigest()}.good")


def _copies(path: Path) -> list[Path]:
    """The good copies, newest first; a kill between writing two leaves both."""
    found = path.parent.glob(f"{path.stem}.*.good")
    return sorted(found, key=lambda copy: copy.stat().st_mtime_ns, reverse=True)


def _lock(path: Path) -> Path:
    return path.with_suffix(".write.lock")
