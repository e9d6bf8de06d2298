"""Every process sees the same shop, and nobody else sees the password."""

import json
import os
import stat
from pathlib import Path

import pytest

from domain.settings import Settings
from stack.environment import (
    PRIVATE,
    airflow_environment,
    airflow_password,
    database_files,
    password_file,
    prepare_airflow_home,
    process_environment,
    secret_file,
    shop_environment,
)


def test_paths_are_absolute_because_tasks_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = shop_environment(Settings(home=Path("state"), data=Path("files")))

    assert told["VITRINE_HOME"] == str(tmp_path / "state")
    assert told["VITRINE_DATA"] == str(tmp_path / "files")


def test_a_process_reads_back_the_settings_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Settings(home=tmp_path, clock="live", serve_port=7190, simulator_preset="debug")
    environment = process_environment(given, mark="m")
    for name in list(os.environ):
        if name.startswith("VITRINE_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("VITRINE_"):
            monkeypatch.setenv(name, value)

    assert Settings() == given


def test_the_password_is_in_no_process_environment(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, airflow_password="open sesame")
    prepare_airflow_home(settings)

    environment = process_environment(settings, mark="m")

    assert "open sesame" not in "".join(environment.values())
    assert secret_file(settings).read_text() not in "".join(environment.values())


def test_the_password_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)

    first = prepare_airflow_home(settings)

    assert prepare_airflow_home(settings) == first
    assert json.loads(password_file(settings).read_text()) == {"admin": first}
    for private in (password_file(settings), secret_file(settings)):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_password_that_is_asked_for_replaces_the_generated_one(tmp_path: Path) -> None:
    airflow_password(Settings(home=tmp_path))

    assert airflow_password(Settings(home=tmp_path, airflow_password="mine")) == "mine"
    assert airflow_password(Settings(home=tmp_path)) == "mine"


def test_airflow_runs_as_many_tasks_as_there_are_cores_on_loopback(tmp_path: Path) -> None:
    told = airflow_environment(Settings(home=tmp_path, airflow_port=7199))

    assert told["AIRFLOW__CORE__PARALLELISM"] == str(max(2, os.cpu_count() or 2))
    assert told["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert told["AIRFLOW__API__PORT"] == "7199"
    assert told["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:7199/execution/"
    assert told["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert Path(told["AIRFLOW_HOME"]).is_relative_to(tmp_path)


def test_the_vitrine_of_this_environment_is_the_one_that_tasks_find(tmp_path: Path) -> None:
    import sys

    path = process_environment(Settings(home=tmp_path), mark="m")["PATH"]

    assert path.split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_airflow_reads_its_database_from_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    url = "postgresql://airflow:hunter2@db:5432/airflow"
    settings = Settings(home=tmp_path, airflow_database=url)
    prepare_airflow_home(settings)

    told = airflow_environment(settings)

    for option, driver in (("sql_alchemy_conn", "psycopg2"), ("sql_alchemy_conn_async", "psycopg")):
        path = database_files(settings)[option]
        assert told[f"AIRFLOW__DATABASE__{option.upper()}_CMD"] == f"cat {path}"
        assert path.read_text() == f"postgresql+{driver}://airflow:hunter2@db:5432/airflow"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hunter2" not in "".join(told.values())


def test_private_settings_are_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PRIVATE:
        monkeypatch.setenv(f"VITRINE_{name.upper()}", "postgresql://hunter2@db/a")

    told = process_environment(Settings(home=tmp_path), mark="m")

    assert "hunter2" not in "".join(told.values())


def test_dbt_is_told_where_the_warehouse_is(tmp_path: Path) -> None:
    url = "postgresql://shop:hunter%402@db:5433/warehouse?sslmode=require"
    told = process_environment(Settings(home=tmp_path, warehouse=url), mark="m")

    assert told["VITRINE_DBT_TARGET"] == "postgres"
    assert (told["VITRINE_DBT_HOST"], told["VITRINE_DBT_PORT"]) == ("db", "5433")
    assert told["VITRINE_DBT_DATABASE"] == "warehouse"
    assert told["VITRINE_DBT_SSLMODE"] == "require"
    assert told["DBT_ENV_SECRET_WAREHOUSE_PASSWORD"] == "hunter@2"


def test_airflow_reads_of_dbts_models_where_the_build_writes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    told = process_environment(settings, mark="m")

    assert told["AIRFLOW__VITRINE__BUILDS"] == str(settings.builds)
    assert told["AIRFLOW__VITRINE__MANIFEST"] == f"{told['DBT_TARGET_PATH']}/manifest.json"
