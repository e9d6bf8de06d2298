"""What deploy/ says is true of this checkout: its commands, settings, ports and files are there."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from cli.main import COMMANDS
from domain.settings import REPOSITORY, Settings
from stack.services import airflow_services

DEPLOY = REPOSITORY / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "vitrine:local"}
KNOWN = {f"VITRINE_{name.upper()}" for name in Settings.model_fields}
PARTS = [name for name in SERVICES if name.startswith("airflow-") and name != "airflow-prepare"]


def containers() -> list[dict]:
    specs = [document["spec"] for document in KUBERNETES if document["kind"] == "Deployment"]
    return [one for spec in specs for one in spec["template"]["spec"]["containers"]]


def commands() -> list[list[str]]:
    return [
        *(service["command"] for service in OURS.values()),
        *(container["command"] for container in containers()),
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_one_of_ours(command):
    if command[0] == "vitrine":
        assert command[1] in COMMANDS
    else:
        assert command[:2] == ["python", "-m"]
        assert find_spec(command[2]) is not None


def test_airflow_has_the_parts_that_vitrine_up_starts():
    wanted = {service.name: list(service.command[1:]) for service in airflow_services()}
    run = {name.removeprefix("airflow-"): OURS[name]["command"] for name in PARTS}
    assert {name: command[4:] for name, command in run.items()} == wanted
    assert {tuple(command[:4]) for command in run.values()} == {
        ("python", "-m", "stack.within", "airflow")
    }


def test_every_setting_exists():
    told = {name for service in OURS.values() for name in service["environment"]}
    for document in KUBERNETES:
        told |= set(document.get("data", {}))
    told |= {entry["name"] for one in containers() for entry in one["env"]}
    assert {name for name in told if name.startswith("VITRINE_")} <= KNOWN
    assert {"VITRINE_WAREHOUSE", "VITRINE_REGISTRY", "VITRINE_ONLINE_STORE"} <= told


def test_the_settings_are_ones_that_vitrine_takes(monkeypatch):
    filled = {"POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r"}
    for name, value in OURS["airflow-scheduler"]["environment"].items():
        if name.startswith("VITRINE_"):
            monkeypatch.setenv(
                name,
                re.sub(r"\$\{(\w+)[^}]*\}", lambda m: filled.get(m[1], ""), value) or "simulated",
            )
    settings = Settings()
    assert settings.dbt_target == "postgres"
    assert settings.airflow_database is not None
    hosts = re.findall(
        r"@([\w-]+):", f"{settings.warehouse} {settings.registry} {settings.online_store}"
    )
    assert set(hosts) <= set(SERVICES)


def test_no_secret_stands_in_clear_text():
    for path in (path for path in DEPLOY.rglob("*") if path.is_file()):
        # What compose fills in becomes one word.
        text = re.sub(r"\$\{(\w+)[^}]*\}", r"$\1", path.read_text())
        given = re.findall(r"://[^/\s:@]*:([^@\s]+)@", text)
        given += re.findall(r"(?i)\b\w*(?:password|token|secret)\b\s*[:=]\s*(\S+)", text)
        assert [value for value in given if value.lstrip("'\"")[0] not in "$%"] == [], path.name
        assert given or path.name != "compose.yaml"
    for one in containers():
        for entry in one["env"]:
            assert set(entry) == {"name", "valueFrom"}, entry["name"]


def test_every_port_stands_on_loopback_and_is_the_one_its_service_listens_on():
    defaults = Settings()
    listens = {
        "airflow-api-server": defaults.airflow_port,
        "recommender": defaults.serve_port,
        "features": defaults.feature_port,
    }
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in listens.items()}
    for one in containers():
        assert one["ports"][0]["containerPort"] == listens[one["name"]]


def test_every_file_and_volume_that_is_named_is_there():
    for service in SERVICES.values():
        for place in service.get("volumes", []):
            name = place.split(":")[0]
            assert name in COMPOSE["volumes"] or (DEPLOY / name).exists(), name
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_every_database_that_is_asked_for_is_made():
    made = re.findall(
        r"create database (\w+);", (DEPLOY / "postgres" / "databases.sql").read_text()
    )
    urls = " ".join(str(value) for one in OURS.values() for value in one["environment"].values())
    assert set(re.findall(r"@postgres:5432/(\w+)", urls)) == set(made)


def test_the_image_is_made_by_the_targets_that_people_use():
    lines = (DEPLOY / "Dockerfile").read_text()
    assert "make setup" in lines
    assert "USER vitrine" in lines
    assert re.search(r"ENV .*VITRINE_HOME=/var/lib/vitrine", lines.replace("\\\n", ""))
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert {".venv", "var", "deploy/.env"} <= set(ignored)


def test_a_selector_finds_its_pods():
    labels = {
        document["metadata"]["name"]: document["spec"]["template"]["metadata"]["labels"]
        for document in KUBERNETES
        if document["kind"] == "Deployment"
    }
    for document in KUBERNETES:
        if document["kind"] == "Service":
            assert document["spec"]["selector"] in labels.values()
    assert Path(DEPLOY / "README.md").exists()
