"""The registry in a file, made safe: one home, one writer, never an empty one.

The class is Feast's own with two holes closed (Feast 0.67, each seen):

* paths in ``feature_store.yaml`` cannot have a default; here a relative one is below
  ``Settings().feast``;
* the file registry is truncated and rewritten in place, so a kill or a full disk leaves an empty
  one, which reads as an empty store; here it is written aside, read back and renamed.
"""

from pathlib import Path

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import RegistryConfig

from domain.errors import StaleFeaturesError
from domain.files import exclusive, replacing_file
from domain.settings import Settings


def below_home(path: str) -> str:
    """``path`` if absolute, else below the feature store's folder of this home."""
    return path if Path(path).is_absolute() else str(Settings().feast / path)


class HomeRegistryStore(FileRegistryStore):
    """Feast's registry file, replaced atomically and never by nothing."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        config = registry_config.model_copy(update={"path": below_home(registry_config.path)})
        super().__init__(config, repo_path)

    def _write_registry(self, registry_proto: RegistryProto) -> None:
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        with (
            exclusive(self._filepath.with_suffix(".write.lock")),
            replacing_file(self._filepath) as aside,
        ):
            writer = FileRegistryStore(RegistryConfig(path=str(aside)), aside.parent)
            FileRegistryStore._write_registry(writer, registry_proto)
            if aside.read_bytes() != registry_proto.SerializeToString():
                raise StaleFeaturesError(
                    f"the feature registry {self._filepath} could not be written whole; "
                    "is the disk full? The old one stays"
                )
