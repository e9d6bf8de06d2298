"""Where things are: one frozen object, every field an environment variable ``VITRINE_…``.

Nothing else in the project reads the environment. What ``vitrine up`` was told about the shop is
kept in ``<home>/shop.json``, so that a command typed later finds the same shop; an environment
variable outranks it.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from domain.events import Source
from domain.files import write_json

REPOSITORY = Path(__file__).resolve().parent.parent
SHOP_FILE = "shop.json"
_POSTGRES = ("postgresql://", "postgres://")


class Settings(BaseSettings):
    """All state lives under ``home``; deleting that folder is a fresh start."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", frozen=True, extra="ignore")

    home: Path = Field(REPOSITORY / "var", description="The folder that holds all state.")
    source: Source = Field(Source.SIMULATED, description="Whose shop this is.")
    data: Path | None = Field(None, description="Folder or file the source is read from.")
    clock: Literal["replay", "live"] = Field(
        "replay", description="replay: now is the day after the last landed day; live: wall clock."
    )
    simulator_preset: str = Field("base", description="Size of the simulated shop.")
    simulator_seed: int = Field(7, description="Seed of the simulated shop.")
    preset: str = Field(
        "base", description="How models are trained: base, small (a smaller ranker) or debug."
    )
    train_threads: int = Field(
        0, ge=0, le=1_024, description="CPU threads of training; 0: every core given to us."
    )
    encoder: Path | None = Field(
        None, description="Folder of a transformers text encoder; default: all-MiniLM-L6-v2."
    )
    online_store: str = Field(
        "sqlite", description="sqlite, a path to a SQLite file, redis://… or postgresql://…"
    )
    online_timeout_s: float = Field(
        0.5, gt=0, le=60, description="Seconds a request may wait for the online store."
    )
    registry: str = Field("", description="Feast registry: empty for a file, or postgresql://…")
    warehouse: str = Field("duckdb", description="Where dbt builds: duckdb, or postgresql://…")
    dbt_project: Path = Field(
        REPOSITORY / "dbt", description="The dbt project; another one for a shop with own models."
    )
    host: str = Field("127.0.0.1", description="Loopback unless asked otherwise.")
    serve_port: int = Field(3000, ge=1, le=65_535, description="Storefront and API.")
    serve_workers: int = Field(2, ge=1, le=64, description="Processes that answer requests.")
    airflow_port: int = Field(8080, ge=1, le=65_535, description="Airflow UI.")
    mlflow_port: int = Field(5000, ge=1, le=65_535, description="Tracked experiments.")
    docs_port: int = Field(3001, ge=1, le=65_535, description="Data docs and reports.")
    feature_port: int = Field(6566, ge=1, le=65_535, description="Feast's feature server.")
    airflow_password: SecretStr | None = Field(
        None, description="Password of the Airflow user admin; default: generated once."
    )
    airflow_database: SecretStr | None = Field(
        None, description="Airflow's metadata: postgresql://…; default: SQLite in the home."
    )
    airflow_url: str | None = Field(
        None, description="How tasks reach Airflow's API server; default: on this host."
    )
    feature_read_token: SecretStr | None = Field(
        None, description="Who has it may read features over HTTP; default: generated once."
    )
    feature_write_token: SecretStr | None = Field(
        None, description="Who has it may also write features; default: generated once."
    )

    @field_validator("warehouse")
    @classmethod
    def _require_known_warehouse(cls, warehouse: str) -> str:
        if warehouse != "duckdb" and not warehouse.startswith(_POSTGRES):
            raise ValueError("expected duckdb or postgresql://…")
        return warehouse

    @field_validator("airflow_database")
    @classmethod
    def _require_postgres(cls, database: SecretStr | None) -> SecretStr | None:
        if database is not None and not database.get_secret_value().startswith(_POSTGRES):
            raise ValueError("expected postgresql://…")
        return database

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then what the home remembers of its shop."""
        home = Path(os.environ.get("VITRINE_HOME") or REPOSITORY / "var")
        remembered = JsonConfigSettingsSource(settings_cls, json_file=home / SHOP_FILE)
        return init_settings, env_settings, remembered

    @cached_property
    def root(self) -> Path:
        """``home``, absolute."""
        return self.home.expanduser().resolve()

    @property
    def lake(self) -> Path:
        """Landed rows: ``lake/<source>/<table>/event_date=D``, and ``lake/quarantine``."""
        return self.root / "lake"

    @property
    def marts(self) -> Path:
        """What dbt publishes for readers: ``marts/<table>/event_date=D``."""
        return self.root / "marts"

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB file; one writer at a time."""
        return self.root / "warehouse.duckdb"

    @property
    def dbt_target(self) -> Literal["duckdb", "postgres"]:
        """The output of ``dbt/profiles.yml`` that the warehouse is."""
        return "duckdb" if self.warehouse == "duckdb" else "postgres"

    @property
    def feast(self) -> Path:
        """Feast's registry, online store and stamp."""
        return self.root / "feast"

    @property
    def online_address(self) -> str:
        """The online store as an address that works anywhere: an absolute path, or a URL."""
        if self.online_store == "sqlite":
            return str(self.feast / "online.db")
        if "://" in self.online_store:
            return self.online_store
        return str(Path(self.online_store).expanduser().resolve())

    @property
    def runs(self) -> Path:
        """One folder a training run: ``runs/<run>``."""
        return self.root / "runs"

    @property
    def releases(self) -> Path:
        """One folder a release, and the ledger."""
        return self.root / "releases"

    @property
    def event_log(self) -> Path:
        """What the service logged: ``event_log/event_date=D/*.jsonl``."""
        return self.root / "event_log"

    @property
    def receipts(self) -> Path:
        """The last receipt of each command and key."""
        return self.root / "receipts"

    @property
    def progress_log(self) -> Path:
        """One JSON line per step of long work; ``vitrine up`` shows it live."""
        return self.root / "logs" / "progress.jsonl"

    @property
    def quality(self) -> Path:
        """Great Expectations' context and data docs."""
        return self.root / "quality"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / "airflow"

    @property
    def mlflow(self) -> Path:
        """MLflow's SQLite file and artifacts."""
        return self.root / "mlflow"

    @property
    def bentoml(self) -> Path:
        """BENTOML_HOME."""
        return self.root / "bentoml"

    @property
    def cache(self) -> Path:
        """What can be computed again: text embeddings by hash, dbt's target folder."""
        return self.root / "cache"

    @property
    def builds(self) -> Path:
        """What each watched build told of dbt's nodes: ``<run>.jsonl``, kept for 30 days."""
        return self.cache / "builds"


def remember_shop(settings: Settings) -> None:
    """Keep what names the shop in its home, for commands typed later without arguments."""
    fields = {"source", "data", "clock", "simulator_preset", "simulator_seed", "preset"}
    told = settings.model_dump(mode="json", include=fields, exclude_none=True)
    if settings.data is not None:
        told["data"] = str(settings.data.expanduser().resolve())
    write_json(settings.root / SHOP_FILE, told)
