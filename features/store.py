"""Open the feature store, and bring its registry to the definitions in ``feature_repo/``.

Configured in Python from ``Settings``; ``feature_repo/feature_store.yaml`` says the same for
whoever comes with the Feast command line.
"""

import importlib
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from feast import BatchFeatureView, Entity, FeatureService, FeatureStore, FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource
from feast.on_demand_feature_view import OnDemandFeatureView

from domain.errors import BadInputError, StaleFeaturesError
from domain.files import only_writer, replacing_file
from domain.settings import REPOSITORY, Settings
from features.quiet import keep_metrics_apart, quiet
from features.registry import give_up_damaged, is_registry, require_views
from features.schema import schema_of

PROJECT: Final = "vitrine"
VIEWS: Final = ("user_features", "item_features", "user_history")
"""The views that are materialized, in this order."""

_SQLITE: Final = "features.sqlite_store.HomeSqliteOnlineStore"
_REDIS: Final = "features.redis_store.VitrineRedisOnlineStore"
_POSTGRES: Final = "features.postgres_store.VitrinePostgresOnlineStore"
_ENGINE: Final = "features.engine.PackedComputeEngine"

DEFINITIONS: Final = ("entities", *VIEWS, "request_features", "services")
"""The modules of ``feature_repo/``."""

_Definition = Entity | DataSource | FeatureView | OnDemandFeatureView | FeatureService


def open_store(settings: Settings) -> FeatureStore:
    """The shop's feature store: DuckDB over the marts, the online store of the settings."""
    return _open(
        registry=_registry(settings),
        online_store=online_store_config(
            settings.online_store, home=settings.feast, timeout_s=settings.online_timeout_s
        ),
        offline_store="features.offline.AsOfDuckDBOfflineStore",
    )


def open_bundled(registry_path: Path, online_store: str, *, timeout_s: float = 0.5) -> FeatureStore:
    """A store for reading online only, far from the lake: a registry file and an address.

    Args:
        registry_path: A copy of ``feast/registry.db`` (``registry_file(settings)``).
        online_store: Path of the SQLite file, ``redis://…`` or ``postgresql://…``.
        timeout_s: How long one read may take.

    Raises:
        StaleFeaturesError: If there is no registry or it is cut, or the SQLite file does not exist:
            Feast would create an empty one and answer with nulls.
    """
    if not registry_path.exists() or registry_path.stat().st_size == 0:
        raise StaleFeaturesError(f"no feature registry at {registry_path}")
    if is_file(online_store) and not Path(online_store).exists():
        raise StaleFeaturesError(f"no online store at {online_store}: run vitrine materialize")
    if not is_registry(registry_path.read_bytes()):
        raise StaleFeaturesError(f"the feature registry {registry_path} is damaged")
    store = _open(
        registry={"path": str(registry_path.resolve()), "cache_ttl_seconds": 0},
        online_store=online_store_config(online_store, home=Path.cwd(), timeout_s=timeout_s),
        offline_store="dask",  # Feast's default; never opened.
    )
    require_views(store, VIEWS)
    return store


def apply(settings: Settings) -> None:
    """Bring registry and online store to the definitions; one process at a time.

    Raises:
        StaleFeaturesError: If the registry does not hold every definition afterwards.
    """
    from features.changes import withdraw  # It reads addresses, and they are ours.

    definitions = load_definitions(settings)
    with writing(settings):
        if not settings.registry:
            give_up_damaged(registry_file(settings))
        withdraw(settings, schema_of(definitions))
        store = open_store(settings)
        with quiet():
            store.apply(definitions, objects_to_delete=_gone(store, definitions), partial=False)
        written = open_store(settings)
        _require_all(written, definitions)
        if settings.registry:
            _export_registry(written, registry_file(settings))


def load_definitions(settings: Settings) -> list[Any]:
    """The Feast objects of ``feature_repo/``, reading this home's marts.

    They import one another the way ``feast apply`` needs it, as top-level modules.
    """
    folder = str(REPOSITORY / "feature_repo")
    sys.path.insert(0, folder)
    try:
        modules = [importlib.import_module(name) for name in DEFINITIONS]
    finally:
        sys.path.remove(folder)
    found = {
        id(value): value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, _Definition) and not isinstance(value, BatchFeatureView)
    }
    for source in (value for value in found.values() if isinstance(value, FileSource)):
        # The modules are imported once a process; the home may differ from call to call (tests).
        source.file_options.uri = mart_glob(settings, source.name.removesuffix("_source"))
    for view in (value for value in found.values() if isinstance(value, FeatureView)):
        # Feast notes in them what the registry says is materialized: of another home, it is not.
        view.materialization_intervals = []
    return list(found.values())


def mart_glob(settings: Settings, table: str) -> str:
    """The pattern of a mart's files."""
    return str(settings.marts / table / "event_date=*" / "part.parquet")


def registry_file(settings: Settings) -> Path:
    """The registry file, a copy if the registry is in SQL: what a bundle takes along."""
    return settings.feast / "registry.db"


def _export_registry(store: FeatureStore, path: Path) -> None:
    """Write what a registry in SQL holds as the file that a bundle reads."""
    content = store.registry.proto().SerializeToString(deterministic=True)
    with replacing_file(path) as aside:
        aside.write_bytes(content)


def is_file(online_store: str) -> bool:
    """Whether the address is that of a SQLite file."""
    return "://" not in online_store


def writing(settings: Settings) -> Any:
    """The lock of everyone who writes to registry or online store.

    Two writers on one Feast registry lose each other's updates without an error.
    """
    return only_writer(settings.feast)


def _open(*, registry: Any, online_store: dict[str, Any], offline_store: str) -> FeatureStore:
    keep_metrics_apart()
    config = RepoConfig(
        project=PROJECT,
        provider="local",
        registry=registry,
        online_store=online_store,
        offline_store={"type": offline_store},
        batch_engine={"type": _ENGINE},
        entity_key_serialization_version=3,
        # Defaults lose or waste: without a batch size Feast writes an Arrow table's first chunk
        # and drops the others, silently; without "latest" it writes every value of the range.
        materialization={"pull_latest_features": True, "online_write_batch_size": 1_000},
        data_quality_monitoring={"auto_baseline": False},
    )
    store = FeatureStore(config=config)
    # Values stay true while new ones are written; Feast would refuse to read.
    store.registry.serve_features_while_materializing = True
    return store


def _registry(settings: Settings) -> dict[str, Any]:
    if settings.registry:
        path = settings.registry.replace("postgresql://", "postgresql+psycopg://", 1)
        return {"registry_type": "sql", "path": path, "cache_ttl_seconds": 60}
    return {
        "registry_store_type": "features.registry.HomeRegistryStore",
        "path": str(registry_file(settings)),
    }


def online_store_config(address: str, *, home: Path, timeout_s: float) -> dict[str, Any]:
    """What Feast is told about the online store at ``address``.

    Args:
        address: As in ``Settings.online_store``.
        home: The folder of the SQLite file where the address is just ``sqlite``.
        timeout_s: How long one read may take.

    Raises:
        BadInputError: If it is no address of a store we have.
    """
    limit = {"timeout_s": timeout_s}
    if is_file(address):
        path = home / "online.db" if address == "sqlite" else Path(address).expanduser().resolve()
        return {"type": _SQLITE, "path": str(path), **limit}
    scheme = urlsplit(address).scheme
    if scheme in {"redis", "rediss"}:
        return {"type": _REDIS, "address": address, **limit}
    if scheme in {"postgresql", "postgres"}:
        return {"type": _POSTGRES, "address": address, **limit}
    raise BadInputError(
        f"online store '{address}': expected sqlite, a path, redis://… or postgresql://…"
    )


def _gone(store: FeatureStore, definitions: list[Any]) -> list[Any]:
    """What the registry holds and nobody defines any more: its online table goes too."""
    names = {value.name for value in definitions}
    held = [*store.list_feature_services(), *store.list_all_feature_views()]
    return [value for value in held if value.name not in names]


def _require_all(store: FeatureStore, definitions: list[Any]) -> None:
    """An empty or cut registry reads as an empty store: look after writing."""
    held = {entity.name for entity in store.list_entities()}
    held |= {view.name for view in store.list_all_feature_views()}
    held |= {service.name for service in store.list_feature_services()}
    wanted = {value.name for value in definitions if not isinstance(value, DataSource)}
    if missing := wanted - held:
        raise StaleFeaturesError(
            f"the feature registry lacks {', '.join(sorted(missing))} after writing it"
        )
